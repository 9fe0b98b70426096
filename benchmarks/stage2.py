"""Stage 2 on cached features, beside 20 epochs through the frozen backbone."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context, set_start_method
from pathlib import Path

import torch
from _comparison import compare, seconds_in_turn
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS, MODELS
from torch.utils.data import DataLoader

from mmimbal.stage2.config import stage2_config
from mmimbal.stage2.feature_cache import cached_features
from mmimbal.stage2.freezing import freeze
from mmimbal.stage2.head_run import HeadRun
from mmimbal.stage2.stage1_features import build_datasets, extract
from mmimbal.stage2.sweep import Sweep

ROUNDS = 3
CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
ISIC = Path(os.environ.get('MMIMBAL_DATA', 'data'), 'isic2018')
LEAVES = ('isic', '_64px.py') if ISIC.is_dir() else ('digits_lt', '.py')
LEAF = f'{LEAVES[0]}/stage2_crt{LEAVES[1]}'
PEER = "mmengine's EpochBasedTrainLoop"
# All of these take steps; methods that are fitted would make the mean look better.
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


def run_config(folder: Path, views: int) -> Config:
    """Return the leaf, validating at the end; cached if there are views."""
    cfg = Config.fromfile(CONFIGS / LEAF)
    cfg.work_dir = tempfile.mkdtemp(dir=folder)
    cfg.log_level = 'ERROR'
    cfg.default_hooks.two_stage.stage1 = str(folder / 'stage1.pth')
    epochs = cfg.train_cfg.max_epochs
    cfg.train_cfg.val_interval = epochs
    if views:
        cfg.train_cfg = dict(
            type='mmimbal.CachedFeaturesTrainLoop',
            max_epochs=epochs,
            val_interval=epochs,
            views=views,
        )
    return cfg


def sweep_ten(folder: Path) -> None:
    """Train ten methods at K=4, from images to validated heads."""
    stage1 = Config.fromfile(CONFIGS / LEAF.replace('stage2_crt', 'stage1_ce'))
    checkpoint = folder / 'stage1.pth'
    rows = []
    for name in TEN:
        method = Config.fromfile(CONFIGS / f'_base_/stage2/{name}.py')
        rows.append(HeadRun(name, stage2_config(stage1, method, checkpoint, views=4)))
    out = Path(tempfile.mkdtemp(dir=folder))
    cfg = rows[0].cfg
    frozen = extract(cfg, build_datasets(cfg), checkpoint, out, views=4)
    list(Sweep(frozen, out / 'heads', os.cpu_count()).train(rows))


def train(folder: Path, views: int) -> None:
    """Run stage 2 in a Runner."""
    Runner.from_cfg(run_config(folder, views)).train()


def seconds_of(function: Callable, *args) -> float:
    """Return the time of a call."""
    init_default_scope('mmpretrain')
    set_start_method('fork', force=True)  # of loaders; this process was spawned
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


@cache
def whole_runs() -> list[float]:
    """Return seconds: the peer, one method at K=1 and K=4, ten methods at K=4.

    Each runs in a process of its own: loaders of one run would hold up the next.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = MODELS.build(Config.fromfile(CONFIGS / LEAF).model)
        torch.save(dict(state_dict=model.state_dict()), folder / 'stage1.pth')
        runs = [(train, folder, views) for views in (0, 1, 4)] + [(sweep_ten, folder)]
        times = [[] for _ in runs]
        for _ in range(ROUNDS):
            for run, found in zip(runs, times, strict=True):
                with ProcessPoolExecutor(1, get_context('spawn')) as pool:
                    found.append(pool.submit(seconds_of, *run).result())
        return [statistics.median(found) for found in times]


def extraction() -> tuple[float, float, str, str]:
    """Time the features of one view beside a bare forward pass."""
    cfg = Config.fromfile(CONFIGS / LEAF)
    model = MODELS.build(cfg.model).to(memory_format=torch.channels_last)
    freeze(model.backbone, update_bn=False)
    loader = cfg.train_dataloader
    dataset = DATASETS.build(loader.dataset)
    sizes = dict(batch_size=loader.batch_size, num_workers=loader.num_workers)

    def bare_pass() -> None:
        with torch.no_grad():
            for batch in DataLoader(dataset, collate_fn=pseudo_collate, **sizes):
                model.extract_feat(model.data_preprocessor(batch, False)['inputs'])

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder:
            cached_features(model, dataset, '', Path(folder), **sizes)

    times = seconds_in_turn([ours, bare_pass], ROUNDS)
    return *times, 'forward pass through the same loader', 's'


CASES = {
    'one method K=1': lambda: (whole_runs()[1], whole_runs()[0], PEER, 's'),
    'one method K=4': lambda: (whole_runs()[2], whole_runs()[0], PEER, 's'),
    'sweep of ten K=4': lambda: (whole_runs()[3] / 10, whole_runs()[0], PEER, 's'),
    'extraction': extraction,
}

if __name__ == '__main__':
    init_default_scope('mmpretrain')
    compare(__doc__, CASES)
