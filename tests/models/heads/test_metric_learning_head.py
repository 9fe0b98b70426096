import pytest
import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS as MMPRETRAIN
from mmpretrain.structures import DataSample
from pytorch_metric_learning.losses import ArcFaceLoss, ContrastiveLoss
from torch.nn import functional as F

from mmimbal.datasets.views import MetricIndex
from mmimbal.models.heads import metric_learning_head
from mmimbal.registry import MODELS

TRIPLET = dict(type='mmimbal.TripletMarginLoss', margin=0.2)


def build(metric_loss=TRIPLET, **options):
    head = MODELS.build(
        dict(
            type='mmimbal.MetricLearningClsHead',
            num_classes=3,
            in_channels=8,
            metric_loss=metric_loss,
            **options,
        )
    )
    head.init_weights()
    return head


@pytest.fixture
def features():
    torch.manual_seed(0)
    return torch.randn(12, 8, requires_grad=True)


LABELS = torch.arange(12) % 3
SAMPLES = [DataSample().set_gt_label(int(label)) for label in LABELS]


def test_losses_are_cross_entropy_and_the_weighted_metric_loss(features):
    head = build(dict(type='mmimbal.ContrastiveLoss'), metric_weight=0.3)
    losses = head.loss((features,), SAMPLES)
    assert losses['loss_cls'].item() == pytest.approx(
        F.cross_entropy(head.fc(features), LABELS).item()
    )
    expected = 0.3 * ContrastiveLoss()(features, LABELS)
    assert losses['loss_metric'].item() == pytest.approx(expected.item())
    assert set(losses) == {'loss_cls', 'loss_metric', 'embedding_spread'}
    assert not losses['embedding_spread'].requires_grad


@pytest.mark.parametrize('name', ['TripletMarginLoss', 'BatchAllTripletLoss'])
def test_triplet_losses_report_active_triplets(features, name):
    losses = build(dict(type=f'mmimbal.{name}', margin=0.2)).loss((features,), SAMPLES)
    assert 0 < losses['active_triplets'] < 1


def test_projection_is_what_the_metric_loss_sees(features):
    head = build(dict(type='mmimbal.ContrastiveLoss'), embedding_size=4)
    expected = ContrastiveLoss()(head.projection(features), LABELS)
    loss = head.loss((features,), SAMPLES)['loss_metric']
    assert head.projection(features).shape == (12, 4)
    assert loss.item() == pytest.approx(expected.item())
    loss.backward()
    assert all(p.grad.abs().sum() > 0 for p in head.projection.parameters())


def test_initialisation_leaves_the_projection_alone():
    head = build(embedding_size=4)
    assert head.fc.weight.std() < 0.03
    assert head.projection[0].weight.std() > 0.1


def test_sizes_reach_losses_that_want_them():
    assert build(dict(type='mmimbal.ProxyAnchorLoss')).metric_loss.proxies.shape == (
        3,
        8,
    )
    head = build(dict(type='mmimbal.SubCenterArcFaceLoss'), embedding_size=4)
    assert head.metric_loss.W.shape == (4, 9)
    own = dict(type='mmimbal.ProxyAnchorLoss', num_classes=5)
    assert build(own).metric_loss.proxies.shape == (5, 8)


def test_weight_zero_computes_nothing(features):
    assert set(build(metric_weight=0.0).loss((features,), SAMPLES)) == {'loss_cls'}


def test_cross_entropy_sees_the_natural_part_only(features):
    head = build(dict(type='mmimbal.ContrastiveLoss'), natural_size=5)
    losses = head.loss((features,), SAMPLES)
    assert losses['loss_cls'].item() == pytest.approx(
        F.cross_entropy(head.fc(features[:5]), LABELS[:5]).item()
    )
    assert losses['loss_metric'].item() == pytest.approx(
        ContrastiveLoss()(features, LABELS).item()
    )


def test_metric_loss_runs_in_float32_outside_autocast(features):
    head = build(dict(type='mmimbal.ProxyAnchorLoss'))
    seen = []
    head.metric_loss.register_forward_hook(
        lambda m, inputs, out: seen.append(
            (inputs[0].dtype, torch.is_autocast_enabled('cpu'))
        )
    )
    with torch.autocast('cpu', torch.bfloat16):
        head.loss((features.bfloat16(),), SAMPLES)['loss_metric'].backward()
    assert seen == [(torch.float32, False)]
    assert head.metric_loss.proxies.dtype == torch.float32
    assert head.metric_loss.proxies.grad.dtype == torch.float32


def test_a_batch_without_positives_gives_zero_and_a_gradient(features):
    samples = [DataSample().set_gt_label(label) for label in range(3)]
    loss = build().loss((features[:3],), samples)['loss_metric']
    loss.backward()
    assert loss == 0
    assert torch.isfinite(features.grad).all()


def test_predicts_like_a_linear_head(features):
    head = build(embedding_size=4)
    linear = MODELS.get('mmpretrain.LinearClsHead')(3, 8)
    linear.fc.load_state_dict(head.fc.state_dict())
    for ours, theirs in zip(
        head.predict((features,)), linear.predict((features,)), strict=True
    ):
        assert ours.pred_score.equal(theirs.pred_score)
        assert ours.pred_label.equal(theirs.pred_label)


def test_mixed_labels_are_an_error(features):
    mixed = [
        DataSample().set_gt_score(torch.rand(3)).set_gt_label(0) for _ in range(12)
    ]
    with pytest.raises(ValueError, match='Mixup'):
        build().loss((features,), mixed)


def test_negative_weight_is_an_error():
    with pytest.raises(ValueError, match='metric_weight=-1'):
        build(metric_weight=-1)


def test_unknown_loss_names_a_near_one():
    with pytest.raises(KeyError, match='TripletMarginLoss'):
        build(dict(type='mmimbal.TripletMarginLos'))


def test_weight_warms_up_by_equal_steps(features):
    head = build(warmup_epochs=3, metric_weight=0.8)
    full = build(metric_weight=0.8).loss((features,), SAMPLES)['loss_metric']
    shares = []
    for epoch in range(5):
        head.set_epoch(epoch)
        shares.append(head.loss((features,), SAMPLES)['loss_metric'] / full)
    assert torch.stack(shares).tolist() == pytest.approx([0.25, 0.5, 0.75, 1, 1])


def test_a_warm_up_without_epochs_is_an_error(features):
    with pytest.raises(RuntimeError, match='SetEpochHook'):
        build(warmup_epochs=3).loss((features,), SAMPLES)


def test_float64_stays(features):
    head = build().double()
    losses = head.loss((features.double(),), SAMPLES)
    assert losses['loss_metric'].dtype == torch.float64


@pytest.mark.parametrize('label', [-1, 3])
def test_a_label_outside_the_classes_names_its_image(features, label):
    samples = [DataSample().set_gt_label(label % 3) for label in range(12)]
    samples[5].gt_label[:] = label
    samples[5].set_metainfo(dict(img_path='images/5.jpg'))
    with pytest.raises(ValueError, match=f'label {label} of images/5.jpg .* 3 classes'):
        build().loss((features,), samples)


def test_bad_options_are_named():
    with pytest.raises(ValueError, match='warmup_epochs=-1'):
        build(warmup_epochs=-1)
    with pytest.raises(ValueError, match=r'margin=-0.1 of TripletMarginLoss'):
        build(dict(type='mmimbal.TripletMarginLoss', margin=-0.1))


def test_under_ddp_a_batch_without_pairs_has_a_gradient_for_all_parameters(
    features, monkeypatch
):
    """Or DDP would wait for it."""
    monkeypatch.setattr(metric_learning_head, 'is_distributed', lambda: True)
    loss = dict(type='mmimbal.MarginLoss', learn_beta=True)
    head = build(loss, embedding_size=4)
    samples = [DataSample().set_gt_label(0) for _ in range(12)]
    losses = head.loss((features,), samples)
    (losses['loss_cls'] + losses['loss_metric']).backward()
    assert [key for key, p in head.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize('name', ['embedding_size', 'natural_size'])
def test_sizes_below_one_are_errors(name):
    with pytest.raises(ValueError, match=f'{name}=0 must be at least 1'):
        build(**{name: 0})


def test_a_loss_may_be_given_as_a_class():
    assert isinstance(build(dict(type=ContrastiveLoss)).metric_loss, ContrastiveLoss)


class OwnLoss(ArcFaceLoss):
    """A user's loss that decides its sizes itself and passes nothing on."""

    def __init__(self, scale=64):
        super().__init__(num_classes=3, embedding_size=8, scale=scale)


def test_a_loss_that_passes_nothing_on_is_not_given_what_its_parents_take():
    assert build(dict(type=OwnLoss, scale=16)).metric_loss.scale == 16


def test_an_own_loss_of_mmpretrain_needs_no_prefix(monkeypatch):
    monkeypatch.setitem(MMPRETRAIN.module_dict, 'OwnLoss', OwnLoss)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        head = build(dict(type='OwnLoss'))
        with pytest.raises(KeyError, match='Unknown is not in the mmpretrain'):
            build(dict(type='Unknown'))
    assert isinstance(head.metric_loss, OwnLoss)


def separate(marks):
    """Return samples; those of ``marks`` are views for the metric loss."""
    kinds = {False: int, True: MetricIndex}
    return [
        DataSample(metainfo=dict(sample_idx=kinds[mark](number))).set_gt_label(
            int(LABELS[number])
        )
        for number, mark in enumerate(marks)
    ]


MARKS = [False] * 5 + [True] * 7


def test_with_separate_views_each_loss_sees_its_rows_alone(features):
    contrastive = dict(type='mmimbal.ContrastiveLoss')
    head = build(contrastive, separate_views=True, embedding_size=4)
    losses = head.loss((features,), separate(MARKS))
    assert losses['loss_cls'].item() == pytest.approx(
        F.cross_entropy(head.fc(features[:5]), LABELS[:5]).item()
    )
    expected = ContrastiveLoss()(head.projection(features[5:]), LABELS[5:])
    assert losses['loss_metric'].item() == pytest.approx(expected.item())
    losses['loss_cls'].backward(retain_graph=True)
    assert features.grad[:5].abs().sum(1).all() and not features.grad[5:].any()
    features.grad = None
    losses['loss_metric'].backward()
    assert features.grad[5:].any() and not features.grad[:5].any()


def test_with_separate_views_cross_entropy_may_see_mixed_images(features):
    samples = separate(MARKS)
    scores = torch.rand(5, 3).softmax(1)
    for sample, score in zip(samples[:5], scores, strict=True):
        sample.set_gt_score(score)
    head = build(separate_views=True)
    losses = head.loss((features,), samples)
    log_shares = head.fc(features[:5]).log_softmax(1)
    expected = -(scores * log_shares).sum(1).mean()
    assert losses['loss_cls'].item() == pytest.approx(expected.item())
    samples[7].set_gt_score(scores[0])
    samples[5].set_gt_score(scores[0])
    with pytest.raises(ValueError, match='the batch was mixed'):
        head.loss((features,), samples)


@pytest.mark.parametrize(
    ('marks', 'options', 'message'),
    [
        (MARKS, {}, 'but the head has separate_views=False'),
        ([False] * 12, dict(separate_views=True), 'no views for the metric loss'),
        ([True] * 12, dict(separate_views=True), '12 of 12 rows are for the metric'),
        (MARKS[::-1], dict(separate_views=True), 'are not at the end'),
    ],
)
def test_batches_that_do_not_fit_are_refused(features, marks, options, message):
    with pytest.raises(ValueError, match=message):
        build(**options).loss((features,), separate(marks))


def test_the_control_leaves_views_of_the_metric_loss_out(features):
    head = build(separate_views=True, metric_weight=0.0)
    losses = head.loss((features,), separate(MARKS))
    assert set(losses) == {'loss_cls'}
    assert losses['loss_cls'].item() == pytest.approx(
        F.cross_entropy(head.fc(features[:5]), LABELS[:5]).item()
    )


def test_a_hidden_layer_with_batch_norm(features):
    head = build(embedding_size=4, hidden_size=6, batch_norm=True)
    first, norm, _, last = head.projection
    assert first.bias is None and isinstance(norm, torch.nn.BatchNorm1d)
    assert (first.weight.shape, last.weight.shape) == ((6, 8), (4, 6))
    hidden = features @ first.weight.T
    hidden = (hidden - hidden.mean(0)) / (hidden.var(0, correction=0) + norm.eps).sqrt()
    torch.testing.assert_close(head.projection(features), last(hidden.relu()))


@pytest.mark.parametrize('options', [dict(hidden_size=6), dict(batch_norm=True)])
def test_a_hidden_layer_needs_a_projection(options):
    with pytest.raises(ValueError, match='set embedding_size'):
        build(**options)


def test_a_cosine_classifier_in_training_and_prediction(features):
    head = build(cosine_scale=5.0)
    expected = 5 * F.normalize(features) @ F.normalize(head.fc.weight).T
    torch.testing.assert_close(head((features,)), expected)
    loss = head.loss((features,), SAMPLES)['loss_cls']
    assert loss.item() == pytest.approx(F.cross_entropy(expected, LABELS).item())
    assert head.fc.bias is None and head.state_dict()['scale'] == 5
    with pytest.raises(ValueError, match='scale=0 must be positive'):
        build(cosine_scale=0)


def test_heads_that_go_on_from_a_linear_classifier_refuse_a_cosine_one(features):
    lws = MODELS.build(dict(type='mmimbal.LWSClsHead', num_classes=3, in_channels=8))
    with pytest.raises(ValueError, match='with a scale, as CosineClsHead has it'):
        lws.load_stage1(build(cosine_scale=5.0).state_dict())


def test_mixed_labels_are_said_before_cross_entropy_meets_them(features):
    """Labels of augments that SwitchRecipeHook has turned off are whole numbers."""
    onehot = [
        DataSample().set_gt_score(F.one_hot(label, 3)).set_gt_label(int(label))
        for label in LABELS
    ]
    with pytest.raises(ValueError, match='set train_cfg=None in model'):
        build().loss((features,), onehot)


def test_several_labels_of_an_image_are_refused(features):
    samples = [DataSample().set_gt_label([0, 2]), *SAMPLES[1:]]
    with pytest.raises(ValueError, match='12 images have 13 labels'):
        build().loss((features,), samples)


@pytest.mark.parametrize(
    ('inputs', 'given'),
    [
        (torch.zeros(12, 5), 'give 5'),
        (torch.zeros(12, 8, 2, 2), 'give 8 x 2 x 2'),
        ((torch.zeros(12, 8), torch.zeros(12, 8)), 'give tuple'),
    ],
)
def test_features_of_another_size_are_told(inputs, given):
    with pytest.raises(
        ValueError, match=f'in_channels=8 and needs one vector.*{given}'
    ):
        build().loss((inputs,), SAMPLES)
