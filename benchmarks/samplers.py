"""Drawing an epoch of balanced indices, beside torch's WeightedRandomSampler."""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import WeightedRandomSampler

from mmimbal.datasets import ClassBalancedSampler
from mmimbal.evaluation.table import format_table

ISIC2018 = np.array([229, 359, 769, 80, 779, 4693, 100])
REPEATS = 5


class Labels:
    """Nothing but labels, at the class shares of ISIC 2018."""

    def __init__(self, size: int) -> None:
        shares = ISIC2018 / ISIC2018.sum()
        self.labels = np.random.default_rng(0).choice(len(shares), size, p=shares)
        self.metainfo = dict(classes=tuple('abcdefg'))

    def __len__(self) -> int:
        return len(self.labels)

    def get_gt_labels(self) -> np.ndarray:
        """Return the labels, (N,)."""
        return self.labels


def seconds(function: Callable) -> float:
    """Return the median time of a call."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def compare(size: int) -> dict:
    """Draw one epoch of ``size`` indices with both samplers."""
    dataset = Labels(size)
    ours = ClassBalancedSampler(dataset, seed=0)
    weights = torch.from_numpy(1 / np.bincount(dataset.labels)[dataset.labels])
    peer = WeightedRandomSampler(weights, size)

    def draw_as_the_peer_does() -> torch.Tensor:
        return torch.multinomial(peer.weights, peer.num_samples, peer.replacement)

    times = seconds(lambda: ours.draw(0)), seconds(draw_as_the_peer_does)
    return dict(
        case=f'weighted N={size:.0e}'.replace('e+0', 'e'),
        ours=times[0],
        peer=times[1],
        peer_name='torch.utils.data.WeightedRandomSampler',
        unit='s',
        ratio=times[1] / times[0],
    )


def main() -> None:
    """Run the cases and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--json', type=Path, help='write the rows to this file')
    args = parser.parse_args()
    rows = [compare(size) for size in (10**6, 10**7)]
    cells = [
        (row['case'], *(f'{row[key]:.3f}' for key in ('ours', 'peer', 'ratio')))
        for row in rows
    ]
    print(format_table(('case', 'ours, s', 'peer, s', 'peer / ours'), cells))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + '\n')


if __name__ == '__main__':
    main()
