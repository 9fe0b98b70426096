"""What several test files share: small configs, small data sets, quiet runners."""

import csv
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

torch.set_num_threads(1)  # small tensors, and two test processes

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


@pytest.fixture(autouse=True)
def scope():
    """Let ``build`` find MMPretrain's components outside of a Runner."""
    init_default_scope('mmpretrain')


def tiny_digits(leaf: str, work_dir: Path, **options) -> Config:
    """Return a leaf of digits_lt with a tiny net and two epochs."""
    cfg = Config.fromfile(CONFIGS / 'digits_lt' / f'{leaf}.py')
    cfg.merge_from_dict(
        {**TINY, **{k.replace('__', '.'): v for k, v in options.items()}}
    )
    cfg.work_dir = str(work_dir)
    # mmengine keeps one log file per name and second.
    cfg.experiment_name = '_'.join(Path(work_dir).parts[1:])
    return cfg


def train(cfg: Config) -> Runner:
    """Train a config and return its runner."""
    runner = Runner.from_cfg(cfg)
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
