"""A warm-up that takes most of a training is warned of."""

import pytest

from tests.conftest import log_of, tiny_digits, train


@pytest.mark.parametrize(
    ('end', 'by_epoch', 'factors', 'is_told'),
    [
        (10_000, False, (0.1, 1.0), True),
        (10_000, False, (1.0, 0.1), False),  # it falls
        (2, False, (0.1, 1.0), False),
        (3, True, (0.1, 1.0), False),
    ],
)
def test_a_warm_up_that_is_most_of_the_training(
    tmp_path, end, by_epoch, factors, is_told
):
    cfg = tiny_digits('stage1_ce', tmp_path, log_level='INFO')
    cfg.param_scheduler = [
        dict(
            type='LinearLR',
            start_factor=factors[0],
            end_factor=factors[1],
            by_epoch=by_epoch,
            end=end,
        )
    ]
    runner = train(cfg)
    steps = runner.max_iters
    text = f'The warm-up has {end} steps, but the training has {steps}'
    assert (text in log_of(runner)) == is_told
    advice = f'param_scheduler.0.end={max(1, steps // 10)}'
    assert (advice in log_of(runner)) == is_told


@pytest.mark.parametrize(
    ('schedule', 'is_told'),
    [
        (dict(type='ConstantLR', factor=0.5), True),
        (dict(type='ConstantLR', factor=1.0), False),
        (dict(type='LinearMomentum', start_factor=0.9), False),
    ],
)
def test_only_a_lower_learning_rate_is_one(tmp_path, schedule, is_told):
    cfg = tiny_digits('stage1_ce', tmp_path, log_level='INFO')
    cfg.param_scheduler = [dict(schedule, by_epoch=False, end=10_000)]
    assert ('The warm-up has 10000 steps' in log_of(train(cfg))) == is_told
