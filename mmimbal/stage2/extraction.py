"""Compute features of images with the frozen backbone and neck."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmpretrain.models import ImageClassifier
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset
from tqdm import tqdm

from mmimbal.datasets import stack_images
from mmimbal.datasets.random_state import kept_random_state
from mmimbal.evaluation.threads import limited_threads


class SeededView(Dataset):
    """A dataset whose augmentation depends only on seed, view and image index.

    Args:
        dataset: Any dataset.
        seed: Seed of the augmentation.
        view: Number of the view, from 0 on.
    """

    def __init__(self, dataset: Dataset, seed: int, view: int) -> None:
        self.dataset = dataset
        self.seed = seed
        self.view = view

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict:
        drawn = np.random.SeedSequence((self.seed, self.view, index)).generate_state(1)
        state = int(drawn[0])
        random.seed(state)
        np.random.seed(state)
        # Images are on the CPU; torch.manual_seed takes 0.3 ms for other devices.
        torch.default_generator.manual_seed(state)
        return self.dataset[index]


@torch.no_grad()
def extract(
    model: ImageClassifier,
    dataset: Dataset,
    images: np.ndarray,
    views: int,
    seed: int,
    loader: dict,
    name: str,
) -> Iterator[np.ndarray]:
    """Yield the features of each batch of images, (B, ...), one view after another."""
    bar = tqdm(
        total=views * len(images),
        desc=f'Features {name}'.rstrip(),
        unit=' images',
        disable=None if is_main_process() else True,
    )
    # Workers and threads on the same cores would wait for each other.
    threads = torch.get_num_threads() - loader.get('num_workers', 0)
    with kept_random_state(), limited_threads(threads), bar, evaluating(model):
        passes = [
            Subset(SeededView(dataset, seed, view), images.tolist())
            for view in range(views)
        ]
        batches = DataLoader(ConcatDataset(passes), collate_fn=_stack, **loader)
        for batch in batches:
            inputs = model.data_preprocessor(batch, False)['inputs']
            features = model.extract_feat(inputs)[-1]
            if not isinstance(features, torch.Tensor):
                raise TypeError(
                    f'the last stage of the frozen backbone returns a '
                    f'{type(features).__name__}; only a tensor, (N, ...), can be '
                    'cached. Use another backbone or neck'
                )
            features = features.float().cpu().numpy()
            bar.update(len(features))
            yield features


@torch.no_grad()
def through_neck(
    model: ImageClassifier, features: np.ndarray, images: np.ndarray, batch_size: int
) -> Iterator[np.ndarray]:
    """Yield outputs of the neck, (B, ...), one view after another.

    Args:
        model: A classifier.
        features: Inputs of the neck, (V, N, C).
        images: Indices of the images.
        batch_size: Images of a batch, B.
    """
    device = next(model.neck.parameters()).device
    with evaluating(model.neck):
        for view in features:
            for start in range(0, len(images), batch_size):
                batch = torch.from_numpy(view[images[start : start + batch_size]])
                yield model.neck((batch.float().to(device),))[-1].cpu().numpy()


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Keep a module in the mode of evaluation, and restore its mode at the end."""
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)


def _stack(items: list[dict]) -> dict:
    """Make a batch of images without labels; the backbone does not need them."""
    return stack_images([dict(inputs=item['inputs']) for item in items])
