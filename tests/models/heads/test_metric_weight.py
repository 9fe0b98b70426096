import math

import pytest

from mmimbal.models.heads.metric_weight import MetricWeight


def weights(epochs, **options):
    weight = MetricWeight(**options, max_epochs=epochs)
    found = []
    for weight.epoch in range(epochs):
        found.append(weight.value())
    return found


def test_it_falls_by_a_cosine_to_the_last_epoch():
    found = weights(5, start=1.0, final=0.01)
    expected = [0.01 + 0.99 * (1 + math.cos(math.pi * e / 4)) / 2 for e in range(5)]
    assert found == pytest.approx(expected)
    assert (found[0], found[2], found[4]) == pytest.approx((1.0, 0.505, 0.01))


def test_it_may_grow_first():
    found = weights(5, start=2.0, final=1.0, warmup_epochs=1)
    falling = weights(5, start=2.0, final=1.0)
    assert found == pytest.approx([falling[0] / 2, *falling[1:]])


def test_of_one_epoch_it_is_the_start():
    assert weights(1, start=2.0, final=0.5) == [2.0]


def test_a_warm_up_that_never_ends_is_refused():
    weight = MetricWeight(2.0, warmup_epochs=5)
    with pytest.raises(ValueError, match='leaves no epoch for the metric weight 2'):
        weight.set_max_epochs(5)
    weight.set_max_epochs(6)
    weight.epoch = 5
    assert weight.value() == 2.0
    MetricWeight(0.0, warmup_epochs=5).set_max_epochs(1)  # a control


def test_without_changes_no_epoch_is_needed():
    assert MetricWeight(0.3).value() == 0.3


@pytest.mark.parametrize('options', [dict(final=0.1), dict(warmup_epochs=1)])
def test_changes_need_the_epoch(options):
    with pytest.raises(RuntimeError, match=r'mmimbal\.SetEpochHook'):
        MetricWeight(1.0, **options).value()


@pytest.mark.parametrize(
    'options',
    [
        dict(start=-1),
        dict(start=1, final=-1),
        dict(start=1, warmup_epochs=-1),
        dict(start=math.nan),
        dict(start=math.inf),
    ],
)
def test_negative_and_infinite_numbers_are_refused(options):
    with pytest.raises(ValueError, match='must be finite and not negative'):
        MetricWeight(**options)


def test_a_weight_that_would_rise_is_refused():
    with pytest.raises(ValueError, match=r'must not be above metric_weight=0\.1: the'):
        MetricWeight(0.1, final=1.0)


def test_the_control_of_a_weight_that_falls_has_none():
    control = MetricWeight(0.0, final=0.01, warmup_epochs=2)
    assert not control.changes and control.value() == 0.0
