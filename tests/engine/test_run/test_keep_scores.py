import numpy as np
import pytest
import torch
from mmengine.dataset import ConcatDataset, RepeatDataset
from torch.utils.data import Subset

from mmimbal.datasets import DigitsLT, get_labels
from mmimbal.engine.test_run.keep_scores import KeepScores
from mmimbal.evaluation.predictions import predictions_for

WRAPPED = dict(
    bare=lambda: DigitsLT('test'),
    concatenated=lambda: ConcatDataset([DigitsLT('test'), DigitsLT('val')]),
    repeated=lambda: RepeatDataset(DigitsLT('val'), 2),
    turned=lambda: Subset(DigitsLT('val'), list(range(100, 0, -3))),
)


def samples_of(dataset):
    """Return what a perfect model says of images; numbers are of the dataset inside."""
    for index, label in enumerate(get_labels(dataset)):
        info = dataset[index]
        assert info['gt_label'] == label
        yield dict(
            sample_idx=info['sample_idx'],
            gt_label=torch.tensor([info['gt_label']]),
            pred_score=torch.eye(10)[label],
        )


@pytest.mark.parametrize('wrapped', WRAPPED)
def test_scores_are_beside_the_labels_of_their_images(wrapped):
    dataset = WRAPPED[wrapped]()
    kept = KeepScores(dataset)
    kept.process(None, list(samples_of(dataset)))
    kept.evaluate(len(dataset))
    found = predictions_for(dataset, kept.scores)
    assert np.array_equal(found.scores.argmax(1), found.labels)
    assert kept.embeddings is None


def test_images_in_another_order_are_refused():
    dataset = DigitsLT('val')
    kept = KeepScores(dataset)
    kept.process(None, list(samples_of(dataset))[::-1])
    with pytest.raises(ValueError, match='shuffle=False'):
        kept.evaluate(len(dataset))
