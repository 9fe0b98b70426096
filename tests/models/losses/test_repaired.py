import pytest
import torch
from pytorch_metric_learning import losses

from mmimbal.models.losses import DynamicSoftMarginLoss, SmoothAPLoss
from mmimbal.registry import MODELS


def naive_smooth_ap(embeddings, labels, temperature):
    """Loop over images, their ranked and all compared ones, in float64."""
    unit = torch.nn.functional.normalize(embeddings.double())
    similarity = unit @ unit.T
    total = 0
    for image, label in enumerate(labels):
        own = [other for other, theirs in enumerate(labels) if theirs == label]
        precisions = []
        for ranked in own:

            def rank(among, ranked=ranked, image=image):
                above = [
                    torch.sigmoid(
                        (similarity[image, k] - similarity[image, ranked]) / temperature
                    )
                    for k in among
                    if k != ranked
                ]
                return 1 + sum(above)

            precisions.append(rank(own) / rank(range(len(labels))))
        total += sum(precisions) / len(precisions)
    return 1 - total / len(labels)


@pytest.mark.parametrize('labels', [[0, 1, 2, 0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 2]])
def test_smooth_ap_equals_a_loop_for_any_batch(labels):
    torch.manual_seed(0)
    embeddings = torch.randn(len(labels), 5)
    value = SmoothAPLoss(temperature=0.05)(embeddings, torch.tensor(labels))
    expected = naive_smooth_ap(embeddings, labels, 0.05)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-7)


def test_smooth_ap_equals_pml_where_that_is_right():
    torch.manual_seed(0)
    embeddings, labels = torch.randn(16, 8), torch.arange(4).repeat_interleave(4)
    expected = losses.SmoothAPLoss()(embeddings, labels)
    torch.testing.assert_close(SmoothAPLoss()(embeddings, labels), expected)


def test_dynamic_soft_margin_learns_for_two_steps_and_saves_its_histogram():
    torch.manual_seed(0)
    loss = MODELS.build(dict(type='mmimbal.DynamicSoftMarginLoss', num_bins=7))
    assert isinstance(loss, DynamicSoftMarginLoss)
    embeddings, labels = torch.randn(8, 4, requires_grad=True), torch.arange(8) % 2
    first = loss(embeddings, labels)
    torch.testing.assert_close(
        first, losses.DynamicSoftMarginLoss(num_bins=7)(embeddings, labels)
    )
    first.backward()
    loss(embeddings, labels).backward()
    resumed = DynamicSoftMarginLoss(num_bins=7)
    resumed.load_state_dict(loss.state_dict())
    assert resumed(embeddings, labels).equal(loss(embeddings, labels))


@pytest.mark.parametrize('labels', [[0, 0, 1, 1], [0, 1, 0, 1]])
def test_dynamic_soft_margin_takes_classes_that_are_opposite(labels):
    """Told apart perfectly, and mixed up completely."""
    torch.manual_seed(0)
    for _ in range(50):
        direction = torch.randn(1, 64)
        embeddings = direction * torch.tensor([1.0, 1.7, -0.3, -2.1])[:, None]
        embeddings.requires_grad_()
        value = DynamicSoftMarginLoss()(embeddings, torch.tensor(labels))
        value.backward()
        assert torch.isfinite(value)
