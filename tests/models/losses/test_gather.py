"""What is gathered over ranks."""

import torch

from mmimbal.models.losses import gather


def test_values_are_contiguous_as_nccl_needs_them(monkeypatch):
    """The class token of a vision transformer, tokens[:, 0], is not."""
    seen = []

    def all_gather(values):
        seen.append(values.is_contiguous())
        return [values, values]

    monkeypatch.setattr(gather, 'get_world_size', lambda: 2)
    monkeypatch.setattr(gather, 'all_gather', all_gather)
    values = torch.arange(24.0).reshape(2, 3, 4)[:, 0]
    found = gather.gather_without_gradient(values)
    assert seen == [True] and found.equal(torch.cat([values, values]))
