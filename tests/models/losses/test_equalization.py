import numpy as np
import pytest
import torch

from mmimbal.models.losses import SoftmaxEqualizationLoss

COUNTS = np.array([60, 30, 8, 2])  # shares of 2.4, 1.2, 0.32 and 0.08 times a quarter
LABELS = torch.tensor([0, 1, 2, 3, 0, 3, 0, 1])


def build(counts=COUNTS, **options):
    loss = SoftmaxEqualizationLoss(**options)
    loss.set_class_counts(counts)
    return loss


@pytest.mark.parametrize(('gamma', 'rare'), [(1.0, 0.43), (0.5, 0.43), (0.5, 0.2)])
def test_value_equals_the_paper(gamma, rare):
    logits = torch.randn(8, 4, dtype=torch.float64)
    torch.manual_seed(1)
    drawn = torch.rand(8, 4) < gamma
    total = 0
    for i, label in enumerate(LABELS):
        below = 0
        for k in range(4):
            is_rare = COUNTS[k] / 100 * 4 < rare
            weight = 1 - int(drawn[i, k]) * int(is_rare) * int(k != label)
            below += weight * torch.exp(logits[i, k])
        total -= torch.log(torch.exp(logits[i, label]) / below)
    torch.manual_seed(1)
    found = build(gamma=gamma, rare=rare)(logits, LABELS)
    torch.testing.assert_close(found.double(), total / 8, rtol=1e-5, atol=1e-5)


def test_common_images_do_not_push_rare_classes_but_rare_ones_push_common():
    logits = torch.randn(8, 4, requires_grad=True)
    build(gamma=1.0)(logits, LABELS).backward()
    assert logits.grad.isfinite().all()
    pushed = logits.grad > 0
    for i, label in enumerate(LABELS):
        expected = [k != label and k < 2 for k in range(4)]
        assert pushed[i].tolist() == expected


def test_without_rare_classes_left_out_it_is_cross_entropy():
    logits = torch.randn(8, 4)
    found = build(gamma=0.0)(logits, LABELS)
    torch.testing.assert_close(found, torch.nn.functional.cross_entropy(logits, LABELS))


def test_what_is_missing_is_said():
    with pytest.raises(ValueError, match=r'leaves no class .* set rare above 0\.80'):
        build(np.array([30, 20]))
    with pytest.raises(RuntimeError, match='ClassCountsHook'):
        SoftmaxEqualizationLoss()(torch.randn(8, 4), LABELS)
    with pytest.raises(ValueError, match=r'gamma=2 must be in \[0, 1\]'):
        SoftmaxEqualizationLoss(gamma=2)
    with pytest.raises(ValueError, match='needs one class per image'):
        build()(torch.randn(8, 4), torch.rand(8, 4))
