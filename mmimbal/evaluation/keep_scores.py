"""Scores of a test run, kept in the order of the dataset."""

from collections.abc import Sequence, Sized

import numpy as np
from mmengine.evaluator import BaseMetric
from torch import nn

from mmimbal.datasets import get_labels


class KeepScores(BaseMetric):
    """Keep what a model says of each image, in place of computing a metric.

    Images come in the order of the dataset: its loader does not shuffle, and mmengine
    puts what several ranks have seen in order.

    Args:
        dataset: Of the test loader, perhaps wrapped.
        head: Head of the model, if what it is given is to be kept too.

    Attributes:
        scores: Probabilities, (N, K), on the main rank after the run.
        embeddings: What backbone and neck give, (N, D); ``None`` without a head.

    Raises:
        ValueError: If images came in another order, after the run.
    """

    def __init__(self, dataset: Sized, head: nn.Module | None = None) -> None:
        super().__init__()
        self.dataset = dataset
        self.scores: np.ndarray | None = None
        self.embeddings: np.ndarray | None = None
        self.features = None
        if head is not None:
            head.register_forward_pre_hook(self._look)

    def _look(self, head: nn.Module, inputs: tuple) -> None:
        self.features = inputs[0][-1].float().flatten(1).cpu().numpy()

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Keep label, scores and features of each sample."""
        for row, sample in enumerate(data_samples):
            scores = sample['pred_score'].float().cpu().numpy()
            features = None if self.features is None else self.features[row]
            self.results.append((sample['gt_label'].item(), scores, features))

    def compute_metrics(self, results: list[tuple]) -> dict:
        """Put all together."""
        labels, scores, features = zip(*results, strict=True)
        if not np.array_equal(labels, get_labels(self.dataset)):
            raise ValueError(
                'scores cannot be kept: the labels of the images that were tested are '
                'not those of the dataset in its order. Give test_dataloader '
                "sampler=dict(type='DefaultSampler', shuffle=False)"
            )
        self.scores = np.stack(scores)
        if features[0] is not None:
            self.embeddings = np.stack(features)
        return {}
