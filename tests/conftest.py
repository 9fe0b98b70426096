"""What several test files share: small configs, small data sets, quiet runners."""

import copy
import csv
import logging
import random
from collections import Counter
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from mmengine.config import Config, config
from mmengine.dataset import base_dataset
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmimbal.datasets.sources import Source, plan_dataset, write_plan
from tests.processes import kill_what_is_left

torch.set_num_threads(1)  # small tensors, and two test processes
# To lay out the text of a config takes half a second, several times in each run.
config.FormatCode = lambda text, style_config: (text, True)
# For each dataset, mmengine collects the garbage of the whole process: 0.1 s.
base_dataset.gc = SimpleNamespace(collect=lambda: 0)
# The same examples every time, however long each of them takes.
settings.register_profile(
    'repeatable',
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile('repeatable')

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / 'configs'

TINY = {
    'model.backbone.stem_channels': 4,
    'model.backbone.base_channels': 4,
    'model.head.in_channels': 32,
    'train_cfg.max_epochs': 2,
    'default_hooks.checkpoint.max_keep_ckpts': 10,
    'log_level': 'WARNING',
}


# Files of tests that take longest. They begin first: a worker of pytest-xdist that
# began one of them last would leave the others without work.
LONGEST_FIRST = (
    'test_kill.py',
    'test_configs.py',
    'test_evidence.py',
    'test_two_stage_hook.py',
    'test_cross_validate_tool.py',
    'test_cached_features_loop.py',
    'test_difficulty_sampling_hook.py',
    'test_rebalancers.py',
    'test_faults.py',
    'test_sweep_tool.py',
    'test_dist_tools.py',
    'test_tools.py',
    'test_head_training.py',
    'test_guest.py',
    'test_platforms.py',
)


def pytest_configure(config):
    """Let pytest-xdist keep the order of files; it would put those of most tests first.

    A few tests that start processes take longer than a hundred of small tensors.
    """
    if hasattr(config.option, 'loadscopereorder'):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    """Put the longest files first."""
    rank = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.hookimpl(tryfirst=True)  # before fixtures of whole modules, too
def pytest_runtest_setup():
    """Begin each test alike, whatever ran before it.

    With the same random numbers; and ``build`` finds MMPretrain's components outside
    of a Runner.
    """
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    init_default_scope('mmpretrain')


def pytest_runtest_teardown():
    """Leave no process behind."""
    kill_what_is_left()


@cache
def _read_config(file: Path) -> Config:
    return Config.fromfile(file)


def tiny_digits(leaf: str, work_dir: Path, **options) -> Config:
    """Return a leaf of digits_lt with a tiny net and two epochs."""
    cfg = copy.deepcopy(_read_config(CONFIGS / 'digits_lt' / f'{leaf}.py'))
    cfg.merge_from_dict(
        {**TINY, **{k.replace('__', '.'): v for k, v in options.items()}}
    )
    cfg.work_dir = str(work_dir)
    # mmengine keeps one log file per name and second.
    cfg.experiment_name = '_'.join(Path(work_dir).parts[1:])
    return cfg


def train(cfg: Config, *hooks: Hook) -> Runner:
    """Train a config, with further hooks, and return its runner."""
    runner = Runner.from_cfg(cfg)
    for hook in hooks:
        runner.register_hook(hook)
    runner.train()
    return runner


def log_of(runner: Runner) -> str:
    """Return what a run has logged."""
    return Path(runner.log_dir, f'{runner.timestamp}.log').read_text()


def write_index(folder: Path, rows: list[dict], size: int = 16) -> Path:
    """Write images of noise and an index.csv that lists them."""
    random = np.random.default_rng(0)
    for row in rows:
        path = folder / row['file']
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), random.integers(0, 256, (size, size, 3), dtype=np.uint8))
    with open(folder / 'index.csv', 'w', newline='') as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return folder


def write_dataset(
    source: Source, out: Path, link: bool = False, **options
) -> dict[str, Counter]:
    """Split a download, write it, and return its counts by split and class."""
    plan = plan_dataset(source, **options)
    write_plan(plan, out, link)
    return plan.counts


def rows_of(classes: list[str], splits: dict[str, int]) -> list[dict]:
    """Return index rows with some images of each class in each split."""
    return [
        {
            'file': f'images/{split}_{name}_{number}.png',
            'label': name,
            'group': f'{split}_{name}_{number}',
            'split': split,
        }
        for split, count in splits.items()
        for name in classes
        for number in range(count)
    ]


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return a data set of 3 classes with train, val and test."""
    rows = rows_of(['a', 'b', 'c'], {'train': 4, 'val': 2, 'test': 2})
    return write_index(tmp_path / 'set', rows)


@pytest.fixture
def messages():
    """Collect what is logged."""
    found = []
    handler = logging.Handler()
    handler.emit = lambda record: found.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('INFO')
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)
    logger.setLevel(level)
