"""Which stage and epoch a run is in; a single run may have two stages."""

from mmengine.config import Config
from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.runner import Runner

from mmimbal.engine.hooks.two_stage_hook import TwoStageHook
from mmimbal.engine.resumed_numbers import counts_epochs


def single_run(runner: Runner) -> TwoStageHook | None:
    """Return the hook of a single run of two stages, if it is one."""
    hooks = (hook for hook in runner.hooks if isinstance(hook, TwoStageHook))
    return next((hook for hook in hooks if hook.epoch is not None), None)


def stage_of(runner: Runner) -> int:
    """Return 2 in stage 2 of a single run, else 1."""
    switch = single_run(runner)
    return switch.stage if switch else 1


def config_of_stage(runner: Runner) -> Config:
    """Return the config of the current stage, also in stage 2 of a single run."""
    if stage_of(runner) == 1:
        return runner.cfg
    return single_run(runner).config_of_stage2(runner)


def iterations_of_pass(runner: Runner) -> int:
    """Return the number of iterations in which all ranks see each image once."""
    loader = runner.train_dataloader
    length = len(loader)
    if isinstance(getattr(loader.batch_sampler, 'sampler', None), InfiniteSampler):
        return -(-length // get_world_size())  # it has the length of all ranks
    return length


def current_epoch(runner: Runner) -> int:
    """Return the epoch, from 0 on; in loops that count iterations, number of passes."""
    if counts_epochs(runner.train_loop):
        return runner.epoch
    return runner.iter // iterations_of_pass(runner)


def first_epoch(runner: Runner) -> int:
    """Return the first epoch of the current stage."""
    switch = single_run(runner)
    return switch.epoch if switch and switch.stage == 2 else 0


def last_epoch(runner: Runner) -> int:
    """Return the epoch after the last of the current stage."""
    if not counts_epochs(runner.train_loop):
        return -(-runner.max_iters // iterations_of_pass(runner))
    switch = single_run(runner)
    in_stage1 = switch is not None and switch.stage == 1
    return switch.epoch if in_stage1 else runner.max_epochs
