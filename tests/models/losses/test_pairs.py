import pytest
import torch
from pytorch_metric_learning.utils.loss_and_miner_utils import get_all_pairs_indices

from mmimbal.models.losses.pairs import pair_masks, refuse_miner

LABELS = torch.tensor([0, 0, 1, 2, 1, 0])
REFERENCES = torch.tensor([2, 0, 1, 1])


@pytest.mark.parametrize('ref_labels', [None, REFERENCES])
def test_all_pairs_are_those_of_pml(ref_labels):
    indices = get_all_pairs_indices(LABELS, ref_labels)
    positive, negative = pair_masks(LABELS, ref_labels=ref_labels)
    expected = torch.zeros(2, *positive.shape, dtype=torch.bool)
    expected[0, indices[0], indices[1]] = True
    expected[1, indices[2], indices[3]] = True
    assert positive.equal(expected[0]) and negative.equal(expected[1])


def test_pairs_of_a_miner_are_taken_as_they_are():
    mined = tuple(torch.tensor(part) for part in ([0, 1], [1, 0], [2], [3]))
    positive, negative = pair_masks(LABELS, mined)
    assert positive.nonzero().tolist() == [[0, 1], [1, 0]]
    assert negative.nonzero().tolist() == [[2, 3]]


def test_refusing_names_the_loss():
    refuse_miner(torch.nn.Identity(), None)
    with pytest.raises(ValueError, match='Identity takes no miner: remove'):
        refuse_miner(torch.nn.Identity(), (1, 2, 3))
