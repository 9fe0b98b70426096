"""Compare both stages, from ImageNet weights to a rebalanced head, with MMPretrain.

Ours is `isic2018/pretrained/ce/crt`. The peer is what a user of MMPretrain alone would
write with the same net, images and number of epochs: train, then `load_from` with
`frozen_stages` and `ClassBalancedDataset`. Much of the difference is in stage 2: ours
computes features of four augmented views of each image once, the peer augments and
passes each image in each epoch, and validates on images each time. That wrapper repeats
images of rare classes, so the peer's epochs are longer; it has fewer of them, for as
many images. Its stage 2 starts from the last epoch, ours from the best on validation;
`frozen_stages` leaves the last convolution of MobileNetV2 trainable, and the batch norm
of the first. 2,000 training images, 10 and 20 epochs; each side is run once, with one
seed. The second row is 100% minus balanced accuracy on test.
"""

import json
import tempfile
import time
from functools import cache
from multiprocessing import set_start_method
from pathlib import Path

import cv2
import numpy as np
import torch
from _comparison import ISIC, TINY_START, Case, compare, in_own_process
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, find_latest_checkpoint
from mmpretrain.registry import DATASETS, MODELS

from mmimbal.command_line.compose import compose
from mmimbal.command_line.experiment import parse_experiment
from mmimbal.datasets import CSVDataset
from mmimbal.files.safe_globals import only_safe_globals

PEER = 'MMPretrain alone'
STAGE1, STAGE2 = 'isic2018/pretrained/ce', 'isic2018/pretrained/ce/crt'
SPLITS = ('train', 'val', 'test')
REPEATED_BELOW = 0.5  # share of a class: images of rarer ones are repeated


def of_ours(experiment: str, data: Path, folder: Path, epochs: int) -> Config:
    """Return our config of an experiment, with another number of epochs."""
    cfg = compose(parse_experiment(experiment), work_dir=str(folder / 'ours'))
    cfg.log_level = 'ERROR'
    for split in SPLITS:
        dataset = cfg[f'{split}_dataloader'].dataset
        dataset.update(data_root=str(data), indices=drawn(folder, split))
    cfg.train_cfg.max_epochs = epochs
    cfg.param_scheduler[-1].T_max = epochs
    return cfg


def of_peer(experiment: str, data: Path, folder: Path, epochs: int) -> Config:
    """Return the same config with parts of MMPretrain alone."""
    cfg = of_ours(experiment, data, folder, epochs)
    cfg.work_dir = str(folder / 'peer')
    for split in SPLITS:
        loader = cfg[f'{split}_dataloader']
        del loader['collate_fn']
        loader.dataset = dict(
            type='CustomDataset',
            data_root='',
            ann_file=str(folder / f'{split}.txt'),
            metainfo=loader.dataset.metainfo,
            pipeline=loader.dataset.pipeline,
        )
    cfg.val_evaluator = cfg.test_evaluator = dict(
        type='SingleLabelMetric', items=('recall',)
    )
    cfg.default_hooks = dict(
        timer=dict(type='IterTimerHook'),
        logger=dict(type='LoggerHook', interval=50),
        param_scheduler=dict(type='ParamSchedulerHook'),
        checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=2),
        sampler_seed=dict(type='DistSamplerSeedHook'),
    )
    cfg.model.backbone.init_cfg = dict(
        type='Pretrained', checkpoint=str(folder / 'imagenet.pth')
    )
    return cfg


def stage1_of_ours(**size) -> Config:
    """Return the config of our stage 1."""
    return of_ours(STAGE1, **size)


def stage2_of_ours(**size) -> Config:
    """Return the config of our stage 2."""
    cfg = of_ours(STAGE2, **size)
    cfg.default_hooks.two_stage.stage1 = cfg.work_dir
    cfg.work_dir += '2'
    return cfg


def stage1_of_peer(**size) -> Config:
    """Return the config of stage 1 with MMPretrain alone."""
    return of_peer(STAGE1, **size)


def stage2_of_peer(epochs: int, **size) -> Config:
    """Return the config of stage 2 with MMPretrain alone."""
    cfg = of_peer(STAGE2, epochs=epochs, **size)
    cfg.model.backbone.update(frozen_stages=7, init_cfg=None)
    cfg.load_from = find_latest_checkpoint(cfg.work_dir)
    cfg.work_dir += '2'
    loader = cfg.train_dataloader
    loader.sampler = dict(type='DefaultSampler', shuffle=True)
    images = loader.dataset
    loader.dataset = dict(
        type='ClassBalancedDataset', dataset=images, oversample_thr=REPEATED_BELOW
    )
    longer = len(DATASETS.build(loader.dataset)) / len(DATASETS.build(images))
    epochs = max(1, round(epochs / longer))
    cfg.train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=1)
    cfg.param_scheduler[-1].T_max = epochs
    return cfg


def train(make_config: str, metric: str, **size) -> tuple[float, float]:
    """Train a stage; return the seconds, and a metric on test, in percent."""
    set_start_method('fork', force=True)  # for loaders; this process may be spawned
    init_default_scope('mmpretrain')
    cfg = globals()[make_config](**size)
    start = time.perf_counter()
    runner = Runner.from_cfg(cfg)
    with only_safe_globals():  # or torch refuses the checkpoint of the peer's stage 1
        runner.train()
    elapsed = time.perf_counter() - start
    return elapsed, runner.test()[metric]


def write_inputs(data: Path, folder: Path, images: int) -> None:
    """Write what both sides start from: the images that are used, and the weights."""
    chosen = {}
    for split in SPLITS:
        items = CSVDataset(str(data), split).data_list
        # Validation images in proportion; all test images.
        share = 1 if split == 'test' else images / len(CSVDataset(str(data), 'train'))
        order = np.random.default_rng(0).permutation(len(items))
        chosen[split] = np.sort(order[: round(share * len(items))]).tolist()
        lines = [
            f'{items[n]["img_path"]} {items[n]["gt_label"]}\n' for n in chosen[split]
        ]
        (folder / f'{split}.txt').write_text(''.join(lines))
    (folder / 'chosen.json').write_text(json.dumps(chosen))
    backbone = MODELS.build(compose(parse_experiment(STAGE1)).model.backbone)
    backbone.init_weights()
    torch.save(backbone.state_dict(), folder / 'imagenet.pth')


def drawn(folder: Path, split: str) -> list[int]:
    """Return the images of a split that are used."""
    return json.loads((folder / 'chosen.json').read_text())[split]


def write_noise(folder: Path, images: int) -> None:
    """Write a data set of noise, with the classes of ISIC 2018 in equal numbers."""
    classes = compose(parse_experiment(STAGE1)).classes
    lines = ['file,label,split\n']
    for n in range(images):
        noise = np.random.default_rng(n).integers(0, 256, (96, 96, 3), np.uint8)
        cv2.imwrite(str(folder / f'{n}.jpg'), noise)
        split = SPLITS[n // len(classes) % len(SPLITS)]
        lines.append(f'{n}.jpg,{classes[n % len(classes)]},{split}\n')
    (folder / 'index.csv').write_text(''.join(lines))
    (folder / 'dataset.json').write_text(json.dumps(dict(classes=classes)))


@cache
def both_stages(
    data: Path | None, images: int, epochs: tuple[int, int], start: str
) -> dict[str, tuple[float, float]]:
    """Return the seconds of both stages and the error on test: ours, the peer's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if data is None:
            data = folder / 'noise'
            data.mkdir()
            write_noise(data, len(SPLITS) * images)
        write_inputs(data, folder, images)
        found = {}
        for side, metric in dict(
            ours='balanced_accuracy', peer='single-label/recall'
        ).items():
            stages = [
                in_own_process(
                    train,
                    start,
                    side == 'ours',
                    make_config=f'stage{number}_of_{side}',
                    metric=metric,
                    data=data,
                    folder=folder,
                    epochs=of_stage,
                )
                for number, of_stage in enumerate(epochs, 1)
            ]
            found[side] = sum(seconds for seconds, _ in stages), 100 - stages[-1][1]
        return found


def compared(value: int, unit: str, **size) -> tuple[float, float, str, str]:
    """Return one of the values of both sides."""
    found = both_stages(**size)
    return found['ours'][value], found['peer'][value], PEER, unit


FULL = dict(data=ISIC, images=2000, epochs=(10, 20), start='spawn')
TINY = dict(data=None, images=14, epochs=(1, 1), start=TINY_START)
CASES = {
    'both stages, pretrained profile': Case(
        compared,
        *(dict(value=0, unit='s', **size) for size in (FULL, TINY)),
        goal=3,
        needs=ISIC,
    ),
    'both stages, balanced error on test': Case(
        compared,
        *(dict(value=1, unit='%', **size) for size in (FULL, TINY)),
        needs=ISIC,
        has_ratio=False,
    ),
}

if __name__ == '__main__':
    init_default_scope('mmpretrain')
    compare(__doc__, CASES)
