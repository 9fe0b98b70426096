"""Measure how much longer a training step takes with a metric loss.

A step with the batch-all triplet loss beside cross-entropy, divided by one with
cross-entropy alone, both with our tools: half ResNet-18, 64 px, 128 images. 1 would be
a loss that costs nothing.
"""

from _comparison import DEVICE, TINY_START, Case, Side, compare, seconds_of_sides
from stage1_step import step_of


def with_triplet(
    batch_size: int, start: str, repeats: int, rounds: int, **changes
) -> tuple[float, None, str, str]:
    """Return the quotient of the durations of both steps, measured in turns."""
    sides = [
        Side(
            step_of,
            dict(
                experiment=f'isic2018/64px/{stage1}',
                size=64,
                batch_size=batch_size,
                **changes,
            ),
        )
        for stage1 in ('triplet', 'ce')
    ]
    with_loss, alone = seconds_of_sides(sides, repeats, rounds, start)
    print(f'{1e3 * with_loss:.1f} ms with the loss, {1e3 * alone:.1f} ms without')
    return with_loss / alone, None, '', 'times'


GOAL = 1.03 if DEVICE == 'cuda' else None
FULL = dict(batch_size=128, start='spawn', repeats=7, rounds=6)
TINY = dict(batch_size=8, start=TINY_START, repeats=1, rounds=1)
CHANGES = {
    'triplet loss': {},
    'triplet loss, --amp': dict(amp=True),
    'triplet loss, torch.compile': dict(compiled=True),
}
CASES = {
    # To compile takes a minute.
    name: Case(with_triplet, change | FULL, change | dict(compiled=False) | TINY, GOAL)
    for name, change in CHANGES.items()
}

if __name__ == '__main__':
    compare(__doc__, CASES)
