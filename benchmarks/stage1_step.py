"""Compare a training step of our tools with a step of MMPretrain's tools/train.py.

A step makes a batch of 128 images in memory, and trains on it; there are no hooks. Both
have the same net and number of threads. MMPretrain's has lists of images, the default
memory format and float32, is not compiled, and gives freed memory back. Ours keeps it,
has one tensor of images, and convolutions channels-last. Rows with "only" have one of
these changes. Rows with "and" have all and one more, which MMPretrain's could have,
too.
"""

from collections.abc import Callable

import torch
from _comparison import (
    DEVICE,
    TINY_START,
    Case,
    Side,
    compare,
    draw_labels,
    seconds_of_sides,
)
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmimbal.command_line.compose import compose
from mmimbal.command_line.experiment import parse_experiment
from mmimbal.command_line.run_config import use_amp
from mmimbal.datasets import stack_images
from mmimbal.engine.amp import has_bf16

PEER = "MMPretrain's tools/train.py"


def step_of(
    experiment: str,
    size: int,
    batch_size: int,
    stacked: bool = True,
    channels_last: bool = True,
    amp: bool = False,
    compiled: bool = False,
) -> Callable:
    """Return a function that does one training step of an experiment, on noise."""
    init_default_scope('mmpretrain')
    cfg = compose(parse_experiment(experiment))
    if amp:
        use_amp(cfg)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).to(DEVICE)
    if channels_last:
        model.to(memory_format=torch.channels_last)
    if compiled:  # as mmengine's Runner does with compile=True
        model.forward = torch.compile(model.forward)
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    images = torch.randint(0, 256, (batch_size, 3, size, size), dtype=torch.uint8)
    samples = [
        dict(inputs=image, data_samples=DataSample().set_gt_label(int(label)))
        for image, label in zip(images, draw_labels(batch_size), strict=True)
    ]
    collate = stack_images if stacked else pseudo_collate
    return lambda: model.train_step(collate(samples), optim_wrapper)


def against_mmpretrain(
    experiment: str,
    size: int,
    batch_size: int,
    start: str,
    repeats: int = 3,
    rounds: int = 5,
    threads: int | None = None,
    keeps_memory: bool = True,
    **ours,
) -> tuple[float, float, str, str]:
    """Measure a step of ours, by default with all changes, and MMPretrain's."""
    net = dict(experiment=experiment, size=size, batch_size=batch_size)
    sides = [
        Side(step_of, net | ours, keeps_memory),
        Side(step_of, net | dict(stacked=False, channels_last=False), False),
    ]
    times = seconds_of_sides(sides, repeats, rounds, start, threads)
    return *(1e3 * elapsed for elapsed in times), PEER, 'ms'


AMP_GOAL = 2 if DEVICE == 'cuda' or has_bf16() else None
PRETRAINED = dict(experiment='isic2018/pretrained/ce', size=96)
SMALL = dict(experiment='isic2018/64px/ce', size=64)
NONE = dict(keeps_memory=False, stacked=False, channels_last=False)
CHANGES = {
    'MobileNetV2, 96 px': (PRETRAINED, {}, 2),
    'MobileNetV2, 96 px, one thread': (PRETRAINED, dict(threads=1), 2),
    'MobileNetV2, 96 px, only memory kept': (
        PRETRAINED,
        NONE | dict(keeps_memory=True),
        None,
    ),
    'MobileNetV2, 96 px, only channels-last': (
        PRETRAINED,
        NONE | dict(channels_last=True),
        None,
    ),
    'MobileNetV2, 96 px, only stacked batches': (
        PRETRAINED,
        NONE | dict(stacked=True),
        None,
    ),
    'MobileNetV2, 96 px, and --amp': (PRETRAINED, dict(amp=True), None),
    'MobileNetV2, 96 px, and torch.compile': (PRETRAINED, dict(compiled=True), None),
    'half ResNet-18, 64 px': (SMALL, {}, 1.2),
    'half ResNet-18, 64 px, one thread': (SMALL, dict(threads=1), 1.2),
    'half ResNet-18, 64 px, and torch.compile': (SMALL, dict(compiled=True), None),
    'half ResNet-18, 64 px, and --amp': (SMALL, dict(amp=True), AMP_GOAL),
    'half ResNet-18, 64 px, and --amp, one thread': (
        SMALL,
        dict(amp=True, threads=1),
        AMP_GOAL,
    ),
}
NOT_COMPILED = dict(compiled=False)  # it takes a minute
FULL = dict(batch_size=128, start='spawn')
TINY = dict(batch_size=8, start=TINY_START, repeats=1, rounds=1)
CASES = {
    name: Case(
        against_mmpretrain,
        net | change | FULL,
        net | change | NOT_COMPILED | TINY | dict(size=32),
        goal,
    )
    for name, (net, change, goal) in CHANGES.items()
}

if __name__ == '__main__':
    compare(__doc__, CASES)
