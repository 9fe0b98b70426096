import pytest
import torch
from torch.nn import functional as F

from mmimbal.models.losses.alignment import class_alignment, sample_alignment
from mmimbal.models.losses.supervised_prototypes import SupervisedPrototypesLoss

LABELS, IMAGES = torch.tensor([0, 0, 0, 1] * 2), torch.arange(4).repeat(2)
K, D = 2, 5


def naive(embeddings, prototypes, margin, temperature):
    """The formula of the paper, image by image; also how many prototypes pull."""
    rows = [F.normalize(row, dim=0) for row in embeddings]
    total, pulling = 0.0, 0
    for i, anchor in enumerate(rows):
        below = sum(
            torch.exp(anchor @ rows[j] / temperature)
            for j in range(len(rows))
            if j != i
        )
        positives = [rows[j] for j in range(8) if j != i and IMAGES[j] == IMAGES[i]]
        own = prototypes[LABELS[i]]
        other = max(
            anchor @ p for c, p in enumerate(prototypes) if c != LABELS[i].item()
        )
        if anchor @ own <= other + margin:
            positives.append(own)
            pulling += 1
        logs = [
            torch.log(torch.exp(anchor @ p / temperature) / below) for p in positives
        ]
        total = total - sum(logs) / len(logs)
    return total / len(rows), pulling


@pytest.mark.parametrize('classes', [2, 3])
def test_value_and_gradient_equal_the_paper(classes):
    loss = SupervisedPrototypesLoss(classes, D, temperature=0.5, margin=0.2)
    ours = torch.randn(8, D, dtype=torch.float64, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    value = loss(ours, LABELS, images=IMAGES)
    expected, pulling = naive(theirs, loss.prototypes.double(), 0.2, 0.5)
    assert 0 < pulling < 8
    torch.testing.assert_close(value, expected)
    value.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_two_prototypes_are_opposite():
    first, second = SupervisedPrototypesLoss(2, D).prototypes
    torch.testing.assert_close(first, -second)


def collapsed(loss, common=28, rare=4):
    """Train free embeddings of two views; return both measures."""
    labels = torch.tensor([0] * common + [1] * rare)
    images = torch.arange(common + rare)
    centre = torch.nn.Parameter(torch.randn(common + rare, 8))
    optimizer = torch.optim.Adam([centre], 0.05)
    for step in range(150):
        torch.manual_seed(step)
        views = torch.cat([centre, centre]) + 0.05 * torch.randn(64, 8)
        optimizer.zero_grad()
        loss(views, labels.repeat(2), images=images.repeat(2)).backward()
        optimizer.step()
    torch.manual_seed(0)
    views = F.normalize(torch.cat([centre, centre]).detach())
    views = views + 0.1 * torch.randn(64, 8)
    measures = views, labels.repeat(2)
    return sample_alignment(*measures, images.repeat(2)), class_alignment(*measures)


def test_images_of_the_common_class_do_not_fall_together():
    """As they do with SupCon; the measures show both."""
    from pytorch_metric_learning.losses import SupConLoss

    supcon = SupConLoss(temperature=0.1)
    saa, _ = collapsed(lambda e, labels, images: supcon(e, labels))
    ours, cac = collapsed(SupervisedPrototypesLoss(2, 8, temperature=0.1))
    assert saa < 0.5 < 0.8 < ours
    assert cac > 0.9


def test_sample_alignment_is_the_share_of_nearest_views_class_by_class():
    places = torch.tensor([0, 10, 40, 80, 1, 39, 12, 150]) * torch.pi / 180
    points = torch.stack([places.cos(), places.sin()], 1)
    # Rows 0 and 4 are views of one image, 1 and 5, 2 and 6, 3 and 7. The nearest rows
    # are 4, 6, 5, 2, 0, 2, 1, 3: a view of the same image for 0, 4 and 7.
    labels = torch.tensor([0, 0, 0, 1] * 2)
    found = sample_alignment(points, labels, IMAGES)
    assert found.item() == pytest.approx((2 / 6 + 1 / 2) / 2)
    alone = torch.tensor([0, 1, 2, 3, 4, 1, 2, 3])  # 0 and 4 do not count
    found = sample_alignment(points, labels, alone)
    assert found.item() == pytest.approx((0 / 4 + 1 / 2) / 2)


@pytest.mark.parametrize('share', [0.01, 0.3, 0.6])
def test_class_alignment_is_the_share_of_neighbours_class_by_class(share):
    points, labels = torch.randn(12, 4), torch.tensor([0] * 9 + [1] * 3)
    directions = F.normalize(points)
    k = max(1, int(share * 11))
    shares = {0: [], 1: []}
    for i in range(12):
        others = [j for j in range(12) if j != i]
        others.sort(key=lambda j, i=i: -(directions[i] @ directions[j]))
        same = [labels[j] == labels[i] for j in others[:k]]
        shares[int(labels[i])].append(sum(same) / k)
    expected = sum(sum(s) / len(s) for s in shares.values()) / 2
    found = class_alignment(points, labels, share)
    torch.testing.assert_close(found, torch.as_tensor(expected).float())


def test_measures_leave_their_input_alone_and_are_kept_as_monitors():
    loss, points = SupervisedPrototypesLoss(K, D), torch.randn(8, D)
    before = points.clone()
    loss(points, LABELS, images=IMAGES)
    assert points.equal(before)
    assert set(loss.monitors) == {'sample_alignment', 'class_alignment'}
    loss(points[:4], LABELS[:4])
    assert set(loss.monitors) == {'class_alignment'}


def test_what_is_missing_is_said():
    with pytest.raises(ValueError, match='at least 2 classes are needed'):
        SupervisedPrototypesLoss(1, D)
    with pytest.raises(ValueError, match='temperature=0 must be positive'):
        SupervisedPrototypesLoss(K, D, temperature=0)
