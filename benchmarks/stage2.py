"""Compare stage 2 on cached features with 20 epochs through the frozen backbone.

Half ResNet-18, 64 px, 20 epochs, one validation. Ours keeps the features of one or four
augmented views of each image; the peer augments each image anew in each epoch, which
may be better for accuracy (see `end_to_end`). Ten heads are trained on the same
features; the row is the time for each. Complete runs take minutes, and are measured
once; features three times.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context, set_start_method
from pathlib import Path

import torch
from _comparison import (
    CONFIGS,
    DEVICE,
    ISIC,
    TINY_START,
    Case,
    compare,
    seconds_in_turn,
)
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS, MODELS
from torch.utils.data import DataLoader

from mmimbal.datasets import stack_images
from mmimbal.evaluation.threads import limited_threads
from mmimbal.experiments.sweep_runner import train_heads
from mmimbal.stage2.config import stage2_config
from mmimbal.stage2.feature_cache import cached_features
from mmimbal.stage2.freezing import freeze
from mmimbal.stage2.head_run import HeadRun
from mmimbal.stage2.stage1_features import build_datasets, compute_stage1_features
from mmimbal.stage2.sweep import Sweep

LEAF = 'isic/stage2_crt_64px.py'
DIGITS_LEAF = 'digits_lt/stage2_crt.py'
PEER = "mmengine's EpochBasedTrainLoop"
# Only methods with gradient steps: fitted methods are faster and would help our mean.
TEN = (
    'balanced_softmax',
    'class_balanced',
    'cosine',
    'crt',
    'disalign',
    'label_aware_smoothing',
    'ldam_drw',
    'logit_adjustment',
    'lws',
    'vs',
)


def run_config(folder: Path, leaf: str, epochs: int, views: int) -> Config:
    """Return a config that validates at the end; cached features if ``views`` > 0."""
    cfg = Config.fromfile(CONFIGS / leaf)
    cfg.work_dir = tempfile.mkdtemp(dir=folder)
    cfg.log_level = 'ERROR'
    cfg.default_hooks.two_stage.stage1 = str(folder / 'stage1.pth')
    cfg.train_cfg.update(max_epochs=epochs, val_interval=epochs)
    if views:
        cfg.train_cfg = dict(
            type='mmimbal.CachedFeaturesTrainLoop',
            max_epochs=epochs,
            val_interval=epochs,
            views=views,
        )
    return cfg


def sweep_ten(folder: Path, leaf: str, epochs: int) -> None:
    """Train ten methods with 4 views, from images to validated heads.

    Raises:
        RuntimeError: If a method could not be trained.
    """
    stage1 = Config.fromfile(CONFIGS / leaf.replace('stage2_crt', 'stage1_ce'))
    checkpoint = folder / 'stage1.pth'
    runs = []
    for name in TEN:
        method = Config.fromfile(CONFIGS / f'_base_/stage2/{name}.py')
        runs.append(HeadRun(name, stage2_config(stage1, method, checkpoint, views=4)))
        runs[-1].cfg.train_cfg.max_epochs = epochs
    out = Path(tempfile.mkdtemp(dir=folder))
    cfg = runs[0].cfg
    features = compute_stage1_features(
        cfg, build_datasets(cfg), checkpoint, out, views=4
    )
    sweep = Sweep(features, out / 'heads')
    train_heads(sweep, runs, os.cpu_count())
    for run in runs:
        if error := sweep.read(run)['error']:
            raise RuntimeError(f'{run.method} was not trained: {error}')


def train(folder: Path, leaf: str, epochs: int, views: int) -> None:
    """Run stage 2 in a Runner."""
    Runner.from_cfg(run_config(folder, leaf, epochs, views)).train()


def seconds_of(function: Callable) -> float:
    """Return the duration of a call."""
    init_default_scope('mmpretrain')
    set_start_method('fork', force=True)  # for loaders; this process may be spawned
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


@cache
def complete_runs(leaf: str, epochs: int, rounds: int, start: str) -> list[float]:
    """Return seconds: peer; one method with 1 and 4 views; ten methods with 4 views.

    Each run has its own process, because loaders of one run would slow down the next.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = MODELS.build(Config.fromfile(CONFIGS / leaf).model)
        torch.save(dict(state_dict=model.state_dict()), folder / 'stage1.pth')
        runs = [partial(train, folder, leaf, epochs, views) for views in (0, 1, 4)]
        runs.append(partial(sweep_ten, folder, leaf, epochs))
        times = [[] for _ in runs]
        for _ in range(rounds):
            for run, elapsed in zip(runs, times, strict=True):
                with ProcessPoolExecutor(1, get_context(start)) as pool:
                    elapsed.append(pool.submit(seconds_of, run).result())
        return [statistics.median(elapsed) for elapsed in times]


def compared_with_peer(run: int, methods: int, **size) -> tuple[float, float, str, str]:
    """Return the seconds for one method, in one of the complete runs."""
    times = complete_runs(**size)
    return times[run] / methods, times[0], PEER, 's'


def extraction(leaf: str, rounds: int) -> tuple[float, float, str, str]:
    """Compare the features of one view with the same pass without a cache."""
    cfg = Config.fromfile(CONFIGS / leaf)
    model = MODELS.build(cfg.model).to(DEVICE, memory_format=torch.channels_last)
    freeze(model.backbone, update_bn=False)
    loader = cfg.train_dataloader
    dataset = DATASETS.build(loader.dataset)
    sizes = dict(batch_size=loader.batch_size, num_workers=loader.num_workers)

    def bare_pass() -> None:
        threads = torch.get_num_threads() - loader.num_workers  # as ours
        with torch.no_grad(), limited_threads(threads):
            for batch in DataLoader(dataset, collate_fn=stack_images, **sizes):
                model.extract_feat(model.data_preprocessor(batch, False)['inputs'])

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder:
            cached_features(model, dataset, '', Path(folder), **sizes)

    times = seconds_in_turn([ours, bare_pass], rounds)
    return *times, 'the same loader and forward pass, no cache', 's'


# A round takes five minutes on two cores.
FULL = dict(leaf=LEAF, epochs=20, rounds=1, start='spawn')
TINY = dict(leaf=DIGITS_LEAF, epochs=1, rounds=1, start=TINY_START)
CASES = {
    'one head, 1 view': Case(partial(compared_with_peer, 1, 1), FULL, TINY, 10, ISIC),
    'one head, 4 views': Case(partial(compared_with_peer, 2, 1), FULL, TINY, 4, ISIC),
    'each of ten heads, 4 views': Case(
        partial(compared_with_peer, 3, len(TEN)), FULL, TINY, 35, ISIC
    ),
    'features of 1 view': Case(
        extraction,
        dict(leaf=LEAF, rounds=3),
        dict(leaf=DIGITS_LEAF, rounds=1),
        0.83,
        ISIC,
    ),
}

if __name__ == '__main__':
    init_default_scope('mmpretrain')
    compare(__doc__, CASES)
