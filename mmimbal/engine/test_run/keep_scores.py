"""Keep the scores of a test run, in the order of the dataset."""

from collections.abc import Sequence, Sized

import numpy as np
from mmengine.evaluator import BaseMetric
from torch import nn

from mmimbal.datasets import get_labels
from mmimbal.engine.test_run.head_inputs import HeadInputs


class KeepScores(BaseMetric):
    """Keep the scores of each image, instead of computing a metric.

    Scores are in the order of the dataset: the test loader does not shuffle, and
    mmengine puts the results of several ranks in order.

    Args:
        dataset: Dataset of the test loader; it may be wrapped.
        head: Head of the model, to keep its inputs (embeddings) too.

    Attributes:
        scores: After the run, on the main rank: probabilities, (N, K).
        embeddings: Outputs of backbone and neck, (N, D); ``None`` without ``head``.

    Raises:
        ValueError: After the run, if the images had another order.
    """

    default_prefix = ''  # or mmengine warns that there is none

    def __init__(self, dataset: Sized, head: nn.Module | None = None) -> None:
        super().__init__()
        self.dataset = dataset
        self.scores: np.ndarray | None = None
        self.embeddings: np.ndarray | None = None
        self.inputs = None if head is None else HeadInputs(head)

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Keep label, scores and features of each sample."""
        features = [None] * len(data_samples)
        if self.inputs:
            features = self.inputs.embeddings.cpu().numpy()
        for sample, of_sample in zip(data_samples, features, strict=True):
            scores = sample['pred_score'].float().cpu().numpy()
            self.results.append((sample['gt_label'].item(), scores, of_sample))

    def compute_metrics(self, results: list[tuple]) -> dict:
        """Stack scores and features of all images; there are no metrics."""
        labels, scores, features = zip(*results, strict=True)
        if not np.array_equal(labels, get_labels(self.dataset)):
            raise ValueError(
                'scores cannot be saved: the images were not tested in the order of '
                'the dataset. Set test_dataloader '
                "sampler=dict(type='DefaultSampler', shuffle=False)"
            )
        self.scores = np.stack(scores)
        if features[0] is not None:
            self.embeddings = np.stack(features)
        return {}
