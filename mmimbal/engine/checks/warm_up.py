"""Warn of a warm-up that takes most of a training."""

from mmengine.optim.scheduler import ConstantParamScheduler, LinearParamScheduler
from mmengine.runner import Runner

MOST = 0.5  # of all steps


def warn_of_long_warm_up(runner: Runner) -> None:
    """Warn if the learning rate warms up for most of the steps.

    The number of steps of a warm-up is fixed; a small data set has few steps.

    Args:
        runner: The runner, with its schedules built.
    """
    schedules = runner.param_schedulers or []
    if isinstance(schedules, dict):  # of several optimizers
        schedules = [each for part in schedules.values() for each in part]
    steps = runner.max_iters
    for number, each in enumerate(schedules):
        if warms_up(each) and not each.by_epoch and each.end > MOST * steps:
            runner.logger.warning(
                f'The warm-up has {each.end} steps, but the training has {steps}: the '
                'learning rate stays below that of the config. Set --cfg-options '
                f'param_scheduler.{number}.end={max(1, steps // 10)}'
            )


def warms_up(schedule: object) -> bool:
    """Return whether a schedule begins below the rate of the config, and ends at it."""
    if schedule.param_name != 'lr':
        return False
    if isinstance(schedule, LinearParamScheduler):  # it may also fall
        return schedule.start_factor < schedule.end_factor
    return isinstance(schedule, ConstantParamScheduler) and schedule.factor < 1
