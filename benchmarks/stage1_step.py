"""A step of stage 1 with a batch-all triplet loss, beside cross-entropy alone."""

from collections.abc import Callable
from pathlib import Path

import torch
from _comparison import compare, draw_labels, seconds_in_turn
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmimbal.command_line.flags import use_amp

CONFIGS = Path(__file__).resolve().parents[1] / 'configs' / 'isic'
BATCH = 128
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'


def step_of(leaf: str, amp: bool) -> Callable:
    """Return a function that takes a training step of a leaf, on images of noise."""
    cfg = Config.fromfile(CONFIGS / leaf)
    if amp:
        use_amp(cfg)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).to(DEVICE, memory_format=torch.channels_last)
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    images = list(torch.randint(0, 256, (BATCH, 3, 64, 64), dtype=torch.uint8))
    samples = [DataSample().set_gt_label(int(k)) for k in draw_labels(BATCH)]
    batch = dict(inputs=images, data_samples=samples)
    return lambda: model.train_step(batch, optim_wrapper)


def compare_steps(amp: bool) -> tuple[float, float, str, str]:
    """Time a step with the triplet loss and one without, in turn."""
    steps = [
        step_of(leaf, amp) for leaf in ('stage1_triplet_64px.py', 'stage1_ce_64px.py')
    ]
    for step in steps:
        step()
    ours, peer = seconds_in_turn(steps, 41)
    return ours * 1e3, peer * 1e3, 'cross-entropy alone', 'ms'


CASES = {
    'step': lambda: compare_steps(amp=False),
    'step --amp': lambda: compare_steps(amp=True),
}

if __name__ == '__main__':
    init_default_scope('mmpretrain')
    compare(__doc__, CASES)
