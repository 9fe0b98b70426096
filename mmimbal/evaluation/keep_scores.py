"""Scores of a test run, kept in the order of the dataset."""

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from torch import nn


class KeepScores(BaseMetric):
    """Keep what a model says of each image, in place of computing a metric.

    Args:
        head: Head of the model, if what it is given is to be kept too.

    Attributes:
        scores: Probabilities, (N, K), on the main rank after the run.
        embeddings: What backbone and neck give, (N, D); ``None`` without a head.
    """

    def __init__(self, head: nn.Module | None = None) -> None:
        super().__init__()
        self.scores: np.ndarray | None = None
        self.embeddings: np.ndarray | None = None
        self.features = None
        if head is not None:
            head.register_forward_pre_hook(self._look)

    def _look(self, head: nn.Module, inputs: tuple) -> None:
        self.features = inputs[0][-1].float().flatten(1).cpu().numpy()

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Keep number, scores and features of each sample."""
        for row, sample in enumerate(data_samples):
            scores = sample['pred_score'].float().cpu().numpy()
            features = None if self.features is None else self.features[row]
            self.results.append((sample['sample_idx'], scores, features))

    def compute_metrics(self, results: list[tuple]) -> dict:
        """Put all in order."""
        results = sorted(results, key=lambda result: result[0])
        _, scores, features = zip(*results, strict=True)
        self.scores = np.stack(scores)
        if features[0] is not None:
            self.embeddings = np.stack(features)
        return {}
