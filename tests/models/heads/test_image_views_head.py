import pytest
import torch
from mmpretrain.structures import DataSample

from mmimbal.datasets.views import MetricIndex
from mmimbal.registry import MODELS


class Seen(torch.nn.Module):
    """A metric loss that keeps what it is given, and has a monitor."""

    def forward(self, embeddings, labels, mined, images):
        self.images = images
        self.monitors = dict(measure=torch.tensor(0.5))
        return embeddings.sum()


MODELS.register_module('SeenImages', module=Seen)


def build(**options):
    head = dict(
        type='mmimbal.ImageViewsClsHead',
        num_classes=3,
        in_channels=4,
        metric_loss=dict(type='mmimbal.SeenImages'),
    )
    return MODELS.build(dict(head, **options))


def samples(numbers, kind=int):
    return [
        DataSample(metainfo=dict(sample_idx=kind(n))).set_gt_label(n % 3)
        for n in numbers
    ]


def test_views_are_told_by_their_index():
    head = build()
    losses = head.loss((torch.randn(4, 4),), samples([7, 8, 7, 8]))
    assert head.metric_loss.images.tolist() == [7, 8, 7, 8]
    assert losses['measure'] == 0.5


def test_with_separate_views_they_are_those_of_the_metric_loss():
    head = build(separate_views=True)
    batch = [*samples([1, 2, 3]), *samples([7, 8, 7, 8], MetricIndex)]
    head.loss((torch.randn(7, 4),), batch)
    assert head.metric_loss.images.tolist() == [7, 8, 7, 8]


def test_without_an_index_all_rows_are_images_of_their_own():
    head = build()
    head.loss((torch.randn(2, 4),), [DataSample().set_gt_label(n) for n in range(2)])
    assert head.metric_loss.images is None


def test_an_index_of_two_images_is_refused():
    """As those of ConcatDataset are."""
    batch = [*samples([4, 5]), *samples([4, 5])]
    for name, sample in zip('abac', batch, strict=True):
        sample.set_field(f'{name}.png', 'img_path', field_type='metainfo')
    message = 'rows of sample_idx 5 are of different files, b.png and c.png'
    with pytest.raises(ValueError, match=message):
        build().loss((torch.randn(4, 4),), batch)


def test_the_control_asks_for_nothing():
    head = build(metric_weight=0.0)
    assert set(head.loss((torch.randn(2, 4),), samples([0, 1]))) == {'loss_cls'}


@pytest.mark.parametrize(
    'loss', ['KPositivesLoss', 'SupervisedPrototypesLoss', 'TargetedLoss']
)
def test_a_recipe_without_views_is_refused(loss):
    head = build(metric_loss=dict(type=f'mmimbal.{loss}'), embedding_size=4)
    for module in head.modules():
        if hasattr(module, 'set_epoch'):
            module.set_epoch(0)
    with pytest.raises(
        ValueError, match=f"{loss} needs two views .*dict.type='MultiView'"
    ):
        head.loss((torch.randn(3, 4),), samples([0, 1, 2]))
