import numpy as np
import pytest
import torch

from mmimbal.models.necks import AdapterNeck


def test_features_are_mixed_with_what_the_hidden_layer_makes_of_them():
    torch.manual_seed(0)
    neck = AdapterNeck(8, reduction=2, ratio=0.3)
    maps = torch.randn(5, 8, 3, 4)
    (found,) = neck((torch.zeros(1), maps))
    first, _, second = neck.adapter
    pooled = maps.numpy().mean((2, 3))
    hidden = pooled @ first.weight.detach().numpy().T + first.bias.detach().numpy()
    new = np.maximum(hidden, 0) @ second.weight.detach().numpy().T
    new += second.bias.detach().numpy()
    assert hidden.shape == (5, 4) and (hidden < 0).any()
    assert np.allclose(found.detach().numpy(), 0.7 * pooled + 0.3 * new, atol=1e-6)
    (again,) = neck((torch.from_numpy(pooled),))  # of a cache, or of a cls token
    assert torch.allclose(found, again, atol=1e-6)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(ratio=0.0), 'ratio=0.0 must be above 0'),
        (dict(ratio=1.1), 'at most 1'),
        (dict(reduction=9), 'reduction=9 must be from 1 to in_channels=8'),
        (dict(reduction=0), 'reduction=0 must be from 1'),
    ],
)
def test_what_makes_no_adapter_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        AdapterNeck(8, **options)
