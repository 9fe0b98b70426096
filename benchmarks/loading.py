"""Compare reading a dataset and its images with MMPretrain's CustomDataset.

In the row "unchecked", ours looks for each file, which the peer never does.
The rows "epoch" read all training images of ISIC 2018; to fill a cache takes one epoch
more, which is not counted.
The rows "augment" are for images of noise in memory, 120 x 120 pixels, on one core:
MMPretrain's transforms, which our configs use and which work on arrays, and those of
torchvision on uint8 tensors. Each image is augmented by itself. The two kinds of
RandAugment choose from different operations.
The rows "waiting" are for the recommended recipe in training on ISIC 2018, but with
RandAugment on the 128 images of cross-entropy, which is more work than the recipe has;
two views of 64 others; 40 steps, once.
"""

import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from _comparison import (
    CONFIGS,
    DEVICE,
    ISIC,
    ISIC2018,
    TINY_START,
    Case,
    compare,
    draw_labels,
    in_own_process,
    seconds_in_turn,
)
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.datasets import CustomDataset
from mmpretrain.models.utils import ClsDataPreprocessor
from mmpretrain.registry import DATASETS, MODELS
from mmpretrain.structures import DataSample
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from mmimbal.command_line.compose import compose
from mmimbal.command_line.experiment import BASES, parse_experiment
from mmimbal.datasets import CSVDataset, get_class_counts, stack_images
from mmimbal.datasets.checking.check import check_dataset
from mmimbal.datasets.checking.check_result import REPORT, file_hash
from mmimbal.evaluation.threads import limited_threads

PEER = "MMPretrain's CustomDataset"
CLASSES = [f'class{k}' for k in range(len(ISIC2018))]


def write_lists(root: Path, size: int, per_folder: int = 1000) -> list[str]:
    """Write index.csv for ours and list.txt for the peer; return the file names."""
    labels = draw_labels(size)
    files = [f'd{n // per_folder}/{n:07d}.jpg' for n in range(size)]
    splits = np.array(['train', 'val', 'test'])[np.arange(size) // 2 % 3]
    with open(root / 'index.csv', 'w') as ours, open(root / 'list.txt', 'w') as peer:
        ours.write('file,label,group,split\n')
        for n, (file, label) in enumerate(zip(files, labels, strict=True)):
            ours.write(f'{file},{CLASSES[label]},lesion{n // 2},{splits[n]}\n')
            peer.write(f'{file} {label}\n')
    (root / 'dataset.json').write_text(json.dumps(dict(classes=CLASSES)))
    return files


def construct(
    is_checked: bool, images: int, rounds: int
) -> tuple[float, float, str, str]:
    """Construct a dataset from a list of file names.

    Ours looks for missing images if the data set was not checked; the peer never does.
    """
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        files = write_lists(root, images)
        if is_checked:
            index = file_hash(root / 'index.csv')
            report = dict(index=index, split_columns=['split'], errors=0)
            (root / REPORT).write_text(json.dumps(report))
        else:
            for folder in {Path(file).parent for file in files}:
                (root / folder).mkdir()
            for file in files:
                (root / file).touch()
        ours, peer = seconds_in_turn(
            [
                lambda: CSVDataset(str(root), test_mode=True),
                lambda: CustomDataset(
                    data_root=str(root), ann_file='list.txt', classes=CLASSES
                ),
            ],
            rounds,
        )
    return ours, peer, PEER, 's'


def write_images(root: Path, files: list[str], width: int, height: int) -> None:
    """Write JPEG files of smooth noise."""
    random = np.random.default_rng(0)
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        noise = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        cv2.imwrite(str(root / file), cv2.resize(noise, (width, height)))


def epoch(
    cache: str | None, source: Path | None, rounds: int, images: int = 0
) -> tuple[float, float, str, str]:
    """Load and augment all training images at 64 px, in one process.

    The images are those of ISIC 2018 in ``source``, or else images of noise.
    """
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        cfg = Config.fromfile(CONFIGS / 'isic/stage1_ce_64px.py').train_dataloader
        pipeline = cfg.dataset.pipeline
        if source:
            items = CSVDataset(str(source), 'train').data_list
            data = [f'{item["img_path"]} {item["gt_label"]}\n' for item in items]
            (root / 'list.txt').write_text(''.join(data))
            folder = dict(data_root=str(source), split='train')
        else:
            write_images(root, write_lists(root, images), 200, 150)
            folder = dict(data_root=name)
        kept = str(root / 'cache') if cache == 'folder' else cache
        ours = CSVDataset(**folder, pipeline=pipeline, cache=kept)
        peer = CustomDataset(
            data_prefix='' if source else name,
            ann_file=str(root / 'list.txt'),
            classes=CLASSES,
            pipeline=pipeline,
        )

        def read(dataset) -> None:
            for index in range(len(dataset)):
                dataset[index]

        times = seconds_in_turn([lambda: read(ours), lambda: read(peer)], rounds)
    return *times, PEER, 's'


def augment(stage1: str, images: int, rounds: int) -> tuple[float, float, str, str]:
    """Augment images of noise at 96 px."""
    cfg = compose(parse_experiment(f'isic2018/pretrained/{stage1}'))
    _, resize, *augmentations = cfg.train_dataloader.dataset.pipeline
    crop, transforms = augmentations[0], Compose(augmentations)
    size = resize['scale']
    has_policy = any(step['type'] == 'RandAugment' for step in augmentations)
    peer = v2.Compose(
        [
            v2.RandomResizedCrop(
                crop['scale'],
                crop['crop_ratio_range'],
                crop['aspect_ratio_range'],
                antialias=False,  # as MMPretrain's
            ),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            *([v2.RandAugment(num_ops=2, magnitude=9)] if has_policy else []),
        ]
    )
    arrays = np.random.default_rng(0).integers(
        0, 256, (images, *size, 3), dtype=np.uint8
    )
    tensors = torch.from_numpy(arrays).permute(0, 3, 1, 2).contiguous()

    def of_mmpretrain() -> None:
        for array in arrays:
            transforms(dict(img=array, img_shape=size, gt_label=0))

    def of_torchvision() -> None:
        for tensor in tensors:
            peer(tensor)

    with limited_threads(1):
        times = seconds_in_turn([of_mmpretrain, of_torchvision], rounds)
    return *times, 'torchvision.transforms.v2', 's'


class Images(Dataset):
    """Images that need no loading; each has its own memory."""

    def __init__(self, number: int, size: int) -> None:
        self.image = torch.randint(0, 256, (3, size, size), dtype=torch.uint8)
        self.labels = draw_labels(number)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict:
        sample = DataSample().set_gt_label(int(self.labels[index]))
        return dict(inputs=self.image.clone(), data_samples=sample)


def batches(
    size: int, batch_size: int, number: int, rounds: int
) -> tuple[float, float, str, str]:
    """Get batches of images from a loader worker, and normalise them."""
    images = Images(number * batch_size, size)
    preprocessor = ClsDataPreprocessor(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
    ).to(DEVICE)

    def read(collate: Callable) -> None:
        loader = DataLoader(images, batch_size, num_workers=1, collate_fn=collate)
        for batch in loader:
            preprocessor(batch, training=True)

    ours, peer = seconds_in_turn(
        [lambda: read(stack_images), lambda: read(pseudo_collate)], rounds
    )
    return ours, peer, "mmengine's pseudo_collate", 's'


def with_randaugment(experiment: str) -> Config:
    """Return the config of an experiment, with RandAugment for cross-entropy."""
    cfg = compose(parse_experiment(experiment))
    (views,) = (
        step
        for step in cfg.train_dataloader.dataset.pipeline
        if step['type'] == 'mmimbal.ViewsByLoss'
    )
    views.strong = Config.fromfile(BASES / 'stage1/ce_randaugment.py').strong
    return cfg


def seconds_of_steps(
    experiment: str, workers: int, cache: str | None, steps: int
) -> tuple[float, float]:
    """Return the seconds of waiting for batches, and of training steps."""
    init_default_scope('mmpretrain')
    cfg = with_randaugment(experiment)
    cfg.train_dataloader.num_workers = workers
    if cache:
        cfg.train_dataloader.dataset.cache = cache
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    loader = Runner.build_dataloader(cfg.train_dataloader | dict(dataset=dataset), 0)
    model = MODELS.build(cfg.model).to(DEVICE, memory_format=torch.channels_last)
    for module in model.modules():
        if hasattr(module, 'set_class_counts'):
            module.set_class_counts(get_class_counts(dataset))
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    batches = iter(loader)
    model.train_step(next(batches), optim_wrapper)  # workers fill their queues
    waited = stepped = 0.0
    for _ in range(steps):
        start = time.perf_counter()
        batch = next(batches)
        loaded = time.perf_counter()
        model.train_step(batch, optim_wrapper)
        waited += loaded - start
        stepped += time.perf_counter() - loaded
    return waited, stepped


def waiting(start: str, **arguments) -> tuple[float, None, str, str]:
    """Return how long training waits for batches, as a share of its steps."""
    waited, stepped = in_own_process(seconds_of_steps, start, True, **arguments)
    return 100 * waited / stepped, None, '', '% of a step'


def check(images: int) -> tuple[float, None, str, str]:
    """Check a data set of images with 200 x 150 pixels."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_images(root, write_lists(root, images), 200, 150)
        (ours,) = seconds_in_turn([lambda: check_dataset(root)], 1)
    return ours, None, '', 's'


MILLION, FEW = dict(images=10**6, rounds=3), dict(images=100, rounds=1)
EPOCH, TINY_EPOCH = dict(source=ISIC, rounds=3), dict(FEW, source=None)
AUGMENT = dict(images=2000, rounds=5)
BATCHES = dict(batch_size=192, number=24, rounds=3)
TINY_BATCHES = dict(batch_size=4, number=2, rounds=1)
VIEWS = dict(experiment='isic2018/pretrained/recommended', steps=40, start='spawn')
TINY_VIEWS = dict(
    experiment='digits_lt/digits/recommended',
    cache=None,
    workers=1,
    steps=1,
    start=TINY_START,
)
CASES = {
    'construct 1e6, checked': Case(partial(construct, True), MILLION, FEW),
    'construct 1e6, unchecked': Case(partial(construct, False), MILLION, FEW),
    **{
        f'epoch at 64 px{kept}': Case(
            partial(epoch, cache), EPOCH, TINY_EPOCH, needs=ISIC
        )
        for kept, cache in (
            ('', None),
            (', cache in memory', 'ram'),
            (', cache in a file', 'folder'),
        )
    },
    'augment at 96 px': Case(partial(augment, 'ce'), AUGMENT, FEW),
    'augment at 96 px, RandAugment': Case(
        partial(augment, 'ce_randaugment'), AUGMENT, FEW
    ),
    'batches at 64 px': Case(partial(batches, 64), BATCHES, TINY_BATCHES),
    'batches at 144 px': Case(partial(batches, 144), BATCHES, TINY_BATCHES),
    **{
        f'waiting beside MobileNetV2 at 96 px, {workers} worker{"s" * (workers > 1)}, '
        f'{kept}': Case(
            waiting, VIEWS | dict(workers=workers, cache=cache), TINY_VIEWS, 2, ISIC
        )
        for workers, kept, cache in (
            (1, 'cache in memory', 'ram'),
            (2, 'cache in memory', 'ram'),
            (2, 'no cache', None),
        )
    },
    'check 1e5 images': Case(check, dict(images=10**5), dict(images=100)),
}

if __name__ == '__main__':
    init_default_scope('mmpretrain')
    compare(__doc__, CASES)
