import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample
from torch.nn import functional as F

from mmimbal.models.losses import ParametricContrastiveLoss
from mmimbal.registry import MODELS

K, D = 3, 4
COUNTS = np.array([70, 20, 10])
LABELS = torch.tensor([0, 0, 0, 1, 2])


def build(counts=COUNTS, **options):
    loss = ParametricContrastiveLoss(D, **options)
    loss.set_class_counts(counts)
    return loss


def naive(embeddings, labels, class_logits, queue, temperature, weight):
    """The formula of the paper, image by image."""
    prior = torch.tensor(COUNTS / COUNTS.sum()).log()
    total = 0.0
    for i, x in enumerate(embeddings):
        anchor = F.normalize(x, dim=0)
        to_centres = class_logits[i] + prior
        terms = [(to_centres[c], float(c == labels[i])) for c in range(K)]
        others = [(e, int(c)) for e, c in zip(embeddings, labels, strict=True)]
        for e, c in [*others[:i], *others[i + 1 :], *queue]:
            cosine = anchor @ F.normalize(e, dim=0) / temperature
            terms.append((cosine, weight * (c == labels[i])))
        below = torch.log(sum(torch.exp(logit) for logit, _ in terms))
        loss = -sum(w * (logit - below) for logit, w in terms)
        total = total + loss / sum(w for _, w in terms)
    return total / len(embeddings)


@pytest.mark.parametrize('queue_size', [0, 3, 7])
def test_value_and_gradient_equal_the_paper(queue_size):
    loss = build(queue_size=queue_size, positive_weight=0.3).double()
    queue = []
    for step in range(4):  # the queue fills, and then loses its oldest
        ours = torch.randn(5, D, dtype=torch.float64, requires_grad=True)
        theirs = ours.detach().clone().requires_grad_()
        labels = LABELS.roll(step)
        logits = torch.randn(5, K, dtype=torch.float64, requires_grad=True)
        their_logits = logits.detach().clone().requires_grad_()
        value = loss(ours, labels, class_logits=logits)
        expected = naive(theirs, labels, their_logits, queue, 0.2, 0.3)
        torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-6)
        value.backward()
        expected.backward()
        close = dict(rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(ours.grad, theirs.grad, **close)
        torch.testing.assert_close(logits.grad, their_logits.grad, **close)
        queue += zip(ours.detach(), labels.tolist(), strict=True)
        queue = queue[-queue_size:] if queue_size else []


def test_a_resumed_run_goes_on_to_the_bit():
    loss = build(queue_size=7)
    for _ in range(3):
        loss(torch.randn(5, D), LABELS, class_logits=torch.randn(5, K))
    resumed = build(queue_size=7)
    resumed.load_state_dict(loss.state_dict())
    for _ in range(3):
        batch, logits = torch.randn(5, D), torch.randn(5, K)
        found = resumed(batch, LABELS, class_logits=logits)
        assert found.equal(loss(batch, LABELS, class_logits=logits))


def test_a_validation_batch_is_not_remembered():
    loss = build(queue_size=7).eval()
    loss(torch.randn(5, D), LABELS, class_logits=torch.randn(5, K))
    assert (loss.queue_labels == -1).all()


def test_what_is_missing_is_said():
    with pytest.raises(RuntimeError, match='ClassCountsHook'):
        ParametricContrastiveLoss(D)(
            torch.randn(5, D), LABELS, class_logits=torch.randn(5, K)
        )
    with pytest.raises(ValueError, match='temperature=0 must be positive'):
        build(temperature=0)
    with pytest.raises(ValueError, match='takes no miner'):
        build()(torch.randn(5, D), LABELS, (0,), class_logits=torch.randn(5, K))


def test_the_head_gives_the_classifier_as_centres():
    """Of the features, not of their projection, and cross-entropy is beside it."""
    loss = dict(type='mmimbal.ParametricContrastiveLoss', queue_size=0)
    head = MODELS.build(
        dict(
            type='mmimbal.ParametricContrastiveClsHead',
            num_classes=K,
            in_channels=6,
            embedding_size=D,
            metric_loss=loss,
            metric_weight=0.5,
        )
    )
    head.metric_loss.set_class_counts(COUNTS)
    features = torch.randn(5, 6, requires_grad=True)
    samples = [DataSample().set_gt_label(int(label)) for label in LABELS]
    losses = head.loss((features,), samples)
    logits = features @ head.fc.weight.T + head.fc.bias
    expected = naive(head.projection(features), LABELS, logits, [], 0.2, 0.05)
    torch.testing.assert_close(losses['loss_metric'], 0.5 * expected.float())
    torch.testing.assert_close(losses['loss_cls'], F.cross_entropy(logits, LABELS))
    losses['loss_metric'].backward()
    assert head.fc.weight.grad.any()


def test_compiled_it_is_the_same():
    """A mutation of a view inside of a graph could not be compiled."""
    loss, embeddings = build(queue_size=7), torch.randn(5, D)
    logits = torch.randn(5, K)
    loss.eval()  # the queue stays
    expected = loss(embeddings, LABELS, class_logits=logits)
    compiled = torch.compile(loss, backend='aot_eager')
    found = compiled(embeddings.requires_grad_(), LABELS, class_logits=logits)
    torch.testing.assert_close(found, expected)
