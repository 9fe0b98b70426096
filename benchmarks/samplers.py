"""Drawing an epoch of balanced indices, beside the samplers one would pick instead."""

import time

import numpy as np
import torch
from _comparison import compare, draw_labels, seconds
from mmengine.dataset import DefaultSampler
from pytorch_metric_learning.samplers import MPerClassSampler
from torch.utils.data import WeightedRandomSampler

from mmimbal.datasets import ClassBalancedSampler, PKBatchSampler


class Labels:
    """Nothing but labels, at the class shares of ISIC 2018."""

    def __init__(self, size: int) -> None:
        self.labels = draw_labels(size)
        self.metainfo = dict(classes=tuple('abcdefg'))

    def __len__(self) -> int:
        return len(self.labels)

    def get_gt_labels(self) -> np.ndarray:
        """Return the labels, (N,)."""
        return self.labels


def weighted(size: int) -> tuple[float, float, str, str]:
    """Draw an epoch with both; ours starts each walk anew."""
    dataset = Labels(size)
    weights = torch.from_numpy(1 / np.bincount(dataset.labels)[dataset.labels])
    peer = WeightedRandomSampler(weights, size)

    def draw_as_the_peer_does() -> torch.Tensor:
        return torch.multinomial(peer.weights, peer.num_samples, peer.replacement)

    sampler = ClassBalancedSampler(dataset, seed=0)
    epochs = iter(range(0, 100, 10))  # apart, so that no pass is at hand

    return (
        seconds(lambda: sampler.draw(next(epochs)), 5),
        seconds(draw_as_the_peer_does, 5),
        'torch.utils.data.WeightedRandomSampler',
        's',
    )


def m_per_class(size: int) -> tuple[float, float, str, str]:
    """Draw an epoch of batches of 7 classes with 4 images each."""
    dataset = Labels(size)
    ours = PKBatchSampler(DefaultSampler(dataset, seed=0), 28, 4)
    peer = MPerClassSampler(dataset.labels, 4, 28, size)
    return (
        seconds(lambda: list(ours), 5),
        seconds(lambda: list(peer), 1),
        'pytorch_metric_learning.samplers.MPerClassSampler',
        's',
    )


def stream(size: int) -> tuple[float, None, str, str]:
    """Draw an epoch past 2^24 images, which the peer refuses."""
    dataset = Labels(size)
    peer = 'torch.utils.data.WeightedRandomSampler'
    try:
        list(WeightedRandomSampler(torch.ones(size), 1))
    except RuntimeError as error:
        print(f'{peer} at {size:.0e} images: {error}')
    sampler = ClassBalancedSampler(dataset, seed=0)
    elapsed = seconds(lambda: sampler.draw(0), 3)
    print(f'{memory(sampler) / size:.1f} bytes an image in arrays of the sampler')
    start = time.perf_counter()
    next(iter(ClassBalancedSampler(dataset, seed=1)))
    first = time.perf_counter() - start
    print(f'{first:.1f} s from construction to the first index')
    return elapsed, None, peer, 's'


def memory(sampler: ClassBalancedSampler) -> int:
    """Return the bytes of the arrays a sampler holds after an epoch."""
    drawn = sum(walk.drawn[1].nbytes for walk in sampler.passes)
    return drawn + sum(images.nbytes for images in sampler.members)


CASES = {
    'weighted N=1e6': lambda: weighted(10**6),
    'weighted N=1e7': lambda: weighted(10**7),
    'm-per-class N=1e5': lambda: m_per_class(10**5),
    'stream N=2e7': lambda: stream(2 * 10**7),
}


if __name__ == '__main__':
    compare(__doc__, CASES)
