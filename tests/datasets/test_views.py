"""Views of an image: strong ones for cross-entropy, others for the metric loss."""

import copy
import pickle

import numpy as np
import pytest
import torch
from mmengine.dataset import ConcatDataset, pseudo_collate
from mmpretrain.datasets import KFoldDataset
from mmpretrain.registry import MODELS, TRANSFORMS
from mmpretrain.structures import DataSample
from torch.utils.data import DataLoader

from mmimbal.datasets import CSVDataset, LongTailDataset, stack_images
from mmimbal.datasets.views import MetricIndex, is_for_metric_loss, makes_separate_views
from mmimbal.registry import TRANSFORMS as OURS
from tests.conftest import rows_of, write_index


@TRANSFORMS.register_module()
class AddToImage:
    """Add to all pixels, so that a test can see which transforms have run."""

    def __init__(self, value):
        self.value = value

    def __call__(self, results):
        results['img'] = results['img'] + self.value
        return results


@OURS.register_module()
class AddRandom:
    """Add another number to each view."""

    def __call__(self, results):
        results['img'] = results['img'] + np.random.randint(1, 100)
        return results


def views(metric_views=2, mild=(), strong=(dict(type='AddToImage', value=7),)):
    transforms = [[dict(type='AddToImage', value=1), *mild]]
    return dict(
        type='mmimbal.ViewsByLoss',
        transforms=transforms,
        strong=strong,
        metric_views=metric_views,
    )


def image(index, value=0):
    return dict(img=np.full((2, 2, 3), value, np.uint8), sample_idx=index, gt_label=0)


def test_each_loss_has_its_transforms():
    step = TRANSFORMS.build(views(metric_views=3))
    assert (step(image(5))['img'] == 8).all()
    found = step(image(MetricIndex(5)))['img']
    assert len(found) == 3 and all((view == 1).all() for view in found)


def test_each_view_is_drawn_anew():
    step = TRANSFORMS.build(views(mild=[dict(type='mmimbal.AddRandom')]))
    first, second = step(image(MetricIndex(5)))['img']
    assert (first != second).all()


def test_impossible_views_are_refused():
    with pytest.raises(ValueError, match='metric_views=0'):
        TRANSFORMS.build(views(metric_views=0))
    with pytest.raises(ValueError, match='must be one list of transforms in a list'):
        TRANSFORMS.build(dict(views(), transforms=[[], []]))


def test_a_mark_survives_copies_and_other_processes():
    index = MetricIndex(7)
    for copied in (copy.deepcopy(index), pickle.loads(pickle.dumps(index))):
        assert copied == 7 and isinstance(copied, MetricIndex)


@pytest.fixture
def dataset(tmp_path):
    folder = write_index(tmp_path, rows_of(['a', 'b'], dict(train=4)))
    pipeline = [
        dict(type='LoadImageFromFile'),
        views(),
        dict(type='PackInputs'),
    ]
    return CSVDataset(data_root=str(folder), split='train', pipeline=pipeline)


BATCH = [0, 4, 1, MetricIndex(4), MetricIndex(2)]


@pytest.mark.parametrize('collate', [stack_images, pseudo_collate])
@pytest.mark.parametrize('workers', [0, 1])
def test_a_batch_has_a_row_for_each_view(dataset, collate, workers):
    loader = DataLoader(
        dataset, batch_sampler=[BATCH], num_workers=workers, collate_fn=collate
    )
    (batch,) = loader
    preprocessor = MODELS.build(
        dict(type='mmimbal.MultiViewDataPreprocessor', mean=[0.0] * 3, std=[1.0] * 3)
    )
    batch = preprocessor(batch, training=True)
    raw = {}
    for index in range(8):
        raw[index] = (dataset[index]['inputs'].int() - 8) % 256
    expected = [(0, 8), (4, 8), (1, 8), (4, 1), (2, 1), (4, 1), (2, 1)]
    assert len(batch['inputs']) == len(batch['data_samples']) == len(expected)
    for row, sample, (index, added) in zip(
        batch['inputs'], batch['data_samples'], expected, strict=True
    ):
        assert row.equal(((raw[index] + added) % 256).float())
        assert sample.gt_label == dataset.get_gt_labels()[index]
    marked = [is_for_metric_loss(sample) for sample in batch['data_samples']]
    assert marked == [False] * 3 + [True] * 4
    assert len({id(sample) for sample in batch['data_samples']}) == 7


def test_an_image_instead_of_a_broken_one_keeps_the_mark(dataset):
    dataset.on_error = 'skip'
    path = dataset.get_data_info(4)['img_path']
    with open(path, 'wb') as file:
        file.write(b'no image')
    found = dataset[MetricIndex(4)]
    assert len(found['inputs']) == 2 and is_for_metric_loss(found['data_samples'])
    assert found['data_samples'].sample_idx == 5


def mixing(alpha=1.0):
    return MODELS.build(
        dict(
            type='mmimbal.MultiViewDataPreprocessor',
            to_onehot=True,
            num_classes=3,
            batch_augments=dict(augments=dict(type='Mixup', alpha=alpha)),
        )
    )


def test_mixup_leaves_views_of_the_metric_loss_alone():
    images = torch.randint(0, 256, (6, 3, 4, 4), dtype=torch.uint8)
    samples = [
        DataSample(metainfo=dict(sample_idx=index)).set_gt_label(int(index) % 3)
        for index in [0, 1, 2, 3, MetricIndex(4), MetricIndex(5)]
    ]
    batch = mixing()(dict(inputs=images, data_samples=samples), training=True)
    assert batch['inputs'][4:].equal(images[4:].float())
    assert not batch['inputs'][:4].equal(images[:4].float())
    for sample in samples[:4]:
        assert sample.gt_score.sum() == pytest.approx(1.0)
    assert any(0 < sample.gt_score.max() < 1 for sample in samples[:4])
    assert all('gt_score' not in sample for sample in samples[4:])


def test_views_of_the_metric_loss_have_no_shares_when_mixup_was_switched_off():
    """As SwitchRecipeHook does, which leaves to_onehot as it is."""
    preprocessor = mixing()
    preprocessor.batch_augments = None
    images = torch.randint(0, 256, (3, 3, 4, 4), dtype=torch.uint8)
    samples = [
        DataSample(metainfo=dict(sample_idx=index)).set_gt_label(int(index))
        for index in [0, 1, MetricIndex(2)]
    ]
    batch = preprocessor(dict(inputs=images, data_samples=samples), training=True)
    assert batch['inputs'].equal(images.float())
    found = [sample.get('gt_score') for sample in batch['data_samples']]
    assert found[0].tolist() == [1, 0, 0] and found[1].tolist() == [0, 1, 0]
    assert found[2] is None


def test_without_marks_mixup_is_that_of_mmpretrain():
    images = torch.randint(0, 256, (4, 3, 4, 4), dtype=torch.uint8)

    def batch():
        samples = [DataSample().set_gt_label(label) for label in (0, 1, 2, 0)]
        return dict(inputs=images, data_samples=samples)

    plain = MODELS.build(
        dict(
            type='ClsDataPreprocessor',
            to_onehot=True,
            num_classes=3,
            batch_augments=dict(augments=dict(type='Mixup', alpha=1.0)),
        )
    )
    found = []
    for preprocessor in (mixing(), plain):
        np.random.seed(3)
        torch.manual_seed(3)
        found.append(preprocessor(batch(), training=True))
    assert found[0]['inputs'].equal(found[1]['inputs'])
    for ours, theirs in zip(*(part['data_samples'] for part in found), strict=True):
        assert ours.gt_score.equal(theirs.gt_score)


def test_wrappers_that_keep_the_marks_are_looked_through(dataset):
    cfg = dict(
        type='mmimbal.CSVDataset',
        data_root=dataset.data_root,
        split='train',
        pipeline=[dict(type='LoadImageFromFile'), views(), dict(type='PackInputs')],
    )
    folds = KFoldDataset(cfg, fold=0, num_splits=2, test_mode=False, seed=0)
    tail = LongTailDataset(dataset, ratio=2)
    for wrapper in (folds, tail, LongTailDataset(folds, ratio=1)):
        assert makes_separate_views(wrapper)
        one, several = wrapper[1], wrapper[MetricIndex(1)]
        assert isinstance(one['inputs'], torch.Tensor)
        assert len(several['inputs']) == 2
        assert is_for_metric_loss(several['data_samples'])
        assert not is_for_metric_loss(one['data_samples'])
    assert not makes_separate_views(ConcatDataset([dataset, dataset]))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(transforms=[dict(type='PackInputs')]), 'must be one list of transforms'),
        (dict(transforms=dict(type='PackInputs')), 'must be one list of transforms'),
        (dict(transforms=[[], []]), 'must be one list of transforms'),
        (dict(transforms=[[]], strong=dict(type='PackInputs')), 'must be a list'),
    ],
)
def test_transforms_in_another_form_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TRANSFORMS.build(dict(type='mmimbal.ViewsByLoss', **options))
