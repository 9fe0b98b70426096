import pytest
import torch

from mmimbal.evaluation.threads import limited_threads


@pytest.mark.parametrize(('limit', 'used'), [(1, 1), (2, 2), (9, 3), (0, 1), (-2, 1)])
def test_threads_are_limited_in_a_block(limit, used):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with pytest.raises(KeyError), limited_threads(limit):
            assert torch.get_num_threads() == used
            raise KeyError
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
