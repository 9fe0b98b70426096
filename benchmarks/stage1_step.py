"""Compare a step of stage 1 with a batch-all triplet loss to cross-entropy alone."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from _comparison import Case, compare, draw_labels, seconds_in_turn
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmimbal.command_line.run_config import use_amp

CONFIGS = Path(__file__).resolve().parents[1] / 'configs' / 'isic'
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'


def step_of(leaf: str, amp: bool, batch_size: int) -> Callable:
    """Return a function that does one training step of a config, on noise."""
    cfg = Config.fromfile(CONFIGS / leaf)
    if amp:
        use_amp(cfg)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).to(DEVICE, memory_format=torch.channels_last)
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    images = list(torch.randint(0, 256, (batch_size, 3, 64, 64), dtype=torch.uint8))
    samples = [DataSample().set_gt_label(int(k)) for k in draw_labels(batch_size)]
    batch = dict(inputs=images, data_samples=samples)
    return lambda: model.train_step(batch, optim_wrapper)


def compare_steps(
    amp: bool, batch_size: int, repeats: int
) -> tuple[float, float, str, str]:
    """Measure a step with the triplet loss and one without, alternately."""
    steps = [
        step_of(leaf, amp, batch_size)
        for leaf in ('stage1_triplet_64px.py', 'stage1_ce_64px.py')
    ]
    for step in steps:
        step()
    ours, peer = seconds_in_turn(steps, repeats)
    return ours * 1e3, peer * 1e3, 'cross-entropy alone', 'ms'


FULL = dict(batch_size=128, repeats=41)
TINY = dict(batch_size=16, repeats=1)
CASES = {
    'step': Case(partial(compare_steps, False), FULL, TINY),
    'step --amp': Case(partial(compare_steps, True), FULL, TINY),
}

if __name__ == '__main__':
    init_default_scope('mmpretrain')
    compare(__doc__, CASES)
