"""Continue optimizer and schedule of a run, also with other numbers."""

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import nn
from torch.optim import Optimizer

from mmimbal.engine.resumed_numbers import (
    check_changes,
    check_is_length,
    counts_epochs,
    described,
    differences,
    is_later,
)


@dataclass
class Stopped:
    """The parts of a checkpoint that a resumed run uses; ``None`` if one is missing."""

    optimizer: dict | None
    param_schedulers: list[dict] | None
    numbers: dict | None


def resume_optimizer(
    runner: Runner, stopped: Stopped, numbers: dict, iterations: int
) -> None:
    """Load the state of the optimizer; changed rates and schedules are the new ones.

    If no number has changed, rates and schedule are those of the checkpoint.

    Args:
        runner: A runner with a new optimizer and schedule, from its config.
        stopped: What the checkpoint contains.
        numbers: See :func:`mmimbal.engine.resumed_numbers.numbers_of`.
        iterations: Number of iterations that are done in the current stage.

    Raises:
        ValueError: If a number cannot be changed, or the parameter groups are others.
    """
    loop, wrapper = runner.train_loop, runner.optim_wrapper
    schedulers, states = runner.param_schedulers or [], stopped.param_schedulers
    old = numbers if stopped.numbers is None else stopped.numbers
    changes = differences(old, numbers)
    check_changes(changes)
    changed = [name for name in changes if not is_later(name)]
    follows_scores = any(hasattr(each, 'need_val_args') for each in schedulers)
    if follows_scores:
        check_is_length(changed, loop)

    new_options = copy.deepcopy(options_of(wrapper))
    if stopped.optimizer is not None:
        check_parameter_groups(wrapper.optimizer, stopped.optimizer)
        if changed:
            check_state_suffices(wrapper.optimizer, stopped.optimizer)
        wrapper.load_state_dict(stopped.optimizer)
    log_changes(stopped, changes, runner.logger)
    if follows_scores or not (changed or (schedulers and states is None)):
        for scheduler, state in zip(schedulers, states or (), strict=False):
            end = scheduler.end
            scheduler.load_state_dict(state)
            if follows_scores:
                scheduler.end = end  # of a longer run
        return
    for group, options in zip(wrapper.param_groups, new_options, strict=True):
        group.update(options)
    replay(schedulers, iterations, len(loop.dataloader) if counts_epochs(loop) else 0)
    rates = sorted({f'{group["lr"]:.4g}' for group in wrapper.param_groups})
    runner.logger.info(
        f'The schedule is where it would be after {iterations} iterations: learning '
        f'rate {", ".join(rates)}'
    )


def log_changes(stopped: Stopped, changes: dict[str, tuple], log: MMLogger) -> None:
    """Log each change, and what the checkpoint does not contain."""
    if stopped.numbers is None:
        log.info(
            'The checkpoint is of an earlier version, which did not store optimizer, '
            'schedule and batch size: whether they were changed cannot be seen'
        )
    if stopped.optimizer is None:
        log.warning(
            'The checkpoint has no state of the optimizer, so momenta start at zero. '
            'To go on exactly, resume from epoch_*.pth, not from best_*.pth'
        )
    for name, (old, new) in changes.items():
        log.info(f'Resumed with another {name}: {described(old)} -> {described(new)}')


def replay(schedulers: Sequence, iterations: int, epoch_length: int) -> None:
    """Step new schedules as in training, up to an iteration.

    Args:
        schedulers: Those of mmengine, at their start.
        iterations: Number of iterations that are done.
        epoch_length: Iterations of an epoch; 0 in a loop that has no epochs.
    """
    by_epoch = [each for each in schedulers if each.by_epoch]
    by_iteration = [each for each in schedulers if not each.by_epoch]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', UserWarning)  # the optimizer makes no steps
        for done in range(1, iterations + 1):
            for scheduler in by_iteration:
                scheduler.step()
            if epoch_length and done % epoch_length == 0:
                for scheduler in by_epoch:
                    scheduler.step()


def options_of(wrapper: OptimWrapper) -> list[dict]:
    """Return rates and other options of each parameter group, without parameters."""
    return [without_params(group) for group in wrapper.param_groups]


def without_params(group: dict) -> dict:
    """Return the options of a parameter group."""
    return {name: value for name, value in group.items() if name != 'params'}


def check_parameter_groups(optimizer: Optimizer, state: dict) -> None:
    """Raise a ValueError if a state is of other parameter groups."""
    old, new = (
        [len(group['params']) for group in groups]
        for groups in (state['param_groups'], optimizer.param_groups)
    )
    if old != new:
        raise ValueError(
            f'cannot resume: the optimizer of the checkpoint has {sum(old)} tensors in '
            f'{len(old)} groups, that of the config {sum(new)} in {len(new)}. Use the '
            'same model and optim_wrapper.paramwise_cfg, or begin a new run with '
            'another --work-dir'
        )


def check_state_suffices(optimizer: Optimizer, state: dict) -> None:
    """Raise a ValueError if new options need what a state does not have.

    Such as ``amsgrad=True`` of Adam. An optimizer of this kind makes a step with the
    old and then with the new options, on a weight of its own.

    Args:
        optimizer: With new options.
        state: Of an optimizer with the same groups and old options.
    """
    for old, new in zip(state['param_groups'], optimizer.param_groups, strict=True):
        if not new['params']:
            continue
        weight = nn.Parameter(torch.zeros(1, device=new['params'][0].device))
        weight.grad = torch.zeros_like(weight)
        try:
            trial = type(optimizer)([weight], lr=0.1)
            trial.param_groups[0].update(without_params(old))
            trial.step()
        except Exception:  # other arguments than those of torch: training will tell
            return
        trial.param_groups[0].update(without_params(new))
        try:
            trial.step()
        except Exception as error:
            raise ValueError(
                f'cannot resume: {type(optimizer).__name__} with its new options needs '
                f'{error} in its state, which the checkpoint does not have. Use the '
                'old options, or begin a new run with another --work-dir'
            ) from error
