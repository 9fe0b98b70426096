import pytest
from mmengine.dataset import DefaultSampler, InfiniteSampler

from mmimbal.datasets import ViewsBatchSampler
from mmimbal.datasets.views import MetricIndex


def batches(size=10, **options):
    sampler = DefaultSampler(range(size), shuffle=True, seed=3)
    return sampler, ViewsBatchSampler(sampler, 4, **options)


def test_the_first_images_come_again_for_the_metric_loss():
    sampler, found = batches(metric_images=3)
    order = list(sampler)
    expected = [order[:4] + order[:3], order[4:8] + order[4:7]]
    assert list(found) == expected and len(found) == 2
    for batch in found:
        assert [type(index) for index in batch] == [int] * 4 + [MetricIndex] * 3


def test_a_smaller_last_batch_only_if_asked_for():
    sampler, found = batches(metric_images=3, drop_last=False)
    assert list(found)[-1] == list(sampler)[8:] * 2 and len(found) == 3


@pytest.mark.parametrize('number', [1, 5, 2.5])
def test_impossible_numbers_are_refused(number):
    with pytest.raises(ValueError, match=f'metric_images={number} must be a'):
        batches(metric_images=number)


def test_a_batch_larger_than_the_images_is_refused():
    with pytest.raises(ValueError, match='no batch of 4 in 3 images, and drop_last'):
        batches(size=3, metric_images=2)
    _, found = batches(size=3, metric_images=2, drop_last=False)
    assert [len(batch) for batch in found] == [5]


def test_batches_of_a_sampler_without_an_end_may_be_larger():
    found = ViewsBatchSampler(InfiniteSampler(range(3)), 4, metric_images=2)
    assert len(next(iter(found))) == 6
