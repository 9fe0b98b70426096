"""The numbers of a run that decide on steps and rates; what of them may change."""

from collections.abc import Iterator

from mmengine.config import Config
from mmengine.runner import EpochBasedTrainLoop
from mmengine.runner.base_loop import BaseLoop

IMAGES = 'train_dataloader.batch_size (sum over ranks)'
STEPS = 'number of iterations per epoch'
STAGE2 = 'stage2.'  # begins the names of numbers of a stage 2 that has not begun
SWITCH = 'TwoStageHook.epoch'
OTHER_STEPS = 'an iteration would be another part of an epoch and of the schedule'
FIXED = {
    'train_cfg.by_epoch': 'epochs and iterations are counted in another way',
    IMAGES: OTHER_STEPS,
    STEPS: OTHER_STEPS,
    'optim_wrapper.optimizer.type': 'the checkpoint has the state of the other one',
}


def counts_epochs(loop: BaseLoop) -> bool:
    """Return whether a training loop counts epochs, and not only iterations."""
    return isinstance(loop, EpochBasedTrainLoop)


def length_of(loop: BaseLoop) -> tuple[str, int]:
    """Return the length of a run, after its name in the config."""
    if counts_epochs(loop):
        return 'train_cfg.max_epochs', loop.max_epochs
    return 'train_cfg.max_iters', loop.max_iters


def numbers_of(cfg: Config, loop: BaseLoop, ranks: int) -> dict:
    """Return what decides on steps and rates, as plain values by name.

    Args:
        cfg: Config of the current stage.
        loop: Loop of the training.
        ranks: Number of processes.
    """
    name, length = length_of(loop)
    size = getattr(loop.dataloader.batch_sampler, 'batch_size', None)
    return optimization_of(cfg) | {
        'train_cfg.by_epoch': counts_epochs(loop),
        name: length,
        STEPS: len(loop.dataloader),
        IMAGES: size and size * ranks,
    }


def numbers_of_stage2(cfg: Config) -> dict:
    """Return the numbers of a second stage that has not begun, by name."""
    size = cfg.train_dataloader.get('batch_size')
    numbers = optimization_of(cfg) | {'train_dataloader.batch_size': size}
    return {STAGE2 + name: value for name, value in numbers.items()}


def optimization_of(cfg: Config) -> dict:
    """Return optimizer and schedule of a config as plain values, by name."""
    schedule, scaling = cfg.get('param_scheduler'), cfg.get('auto_scale_lr') or {}
    parts = dict(
        optim_wrapper=cfg.get('optim_wrapper'),
        param_scheduler=[schedule] if isinstance(schedule, dict) else schedule,
        auto_scale_lr=scaling if scaling.get('enable') else None,
    )
    return dict(flatten(parts))


def flatten(value, name: str = '') -> Iterator[tuple[str, object]]:
    """Yield plain values by names as in ``--cfg-options``; ``None`` is left out."""
    if isinstance(value, list | tuple) and any(isinstance(v, dict) for v in value):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        for key, part in value.items():
            yield from flatten(part, f'{name}.{key}' if name else str(key))
    elif value is not None:
        yield name, plain(value)


def plain(value):
    """Return a number or a text, or a list of them."""
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, bool | int | float | str):
        return value
    return getattr(value, '__name__', str(value))


def differences(old: dict, new: dict) -> dict[str, tuple]:
    """Return pairs of old and new values that differ, by name."""
    return {
        name: (old.get(name), new.get(name))
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    }


def is_later(name: str) -> bool:
    """Return whether a number counts only when the second stage begins."""
    return name == SWITCH or name.startswith(STAGE2)


def check_start(loop: BaseLoop, meta: dict, switch: int | None) -> None:
    """Raise a ValueError if a run cannot go on from a checkpoint.

    Args:
        loop: Loop of the training.
        meta: That of the checkpoint.
        switch: Epoch at which stage 2 of a single run begins.
    """
    name, length = length_of(loop)
    done = meta['epoch' if counts_epochs(loop) else 'iter']
    if done > length:
        raise ValueError(
            f'cannot resume with {name}={length}: {done} are done already. Set {name} '
            f'to at least {done}, or name an earlier checkpoint with --resume PATH'
        )
    steps = meta.get('numbers', {}).get(STEPS)  # of releases without is_inside_epoch
    differs = bool(steps and switch is None and meta['iter'] != meta['epoch'] * steps)
    if counts_epochs(loop) and meta.get('is_inside_epoch', differs):
        raise ValueError(
            f'cannot resume after iteration {meta["iter"]}: it is inside an epoch, and '
            'a run goes on from the start of an epoch. Name a checkpoint that was '
            'written at the end of an epoch with --resume PATH'
        )
    old = meta.get('numbers', {SWITCH: switch}).get(SWITCH)
    epochs = [epoch for epoch in (old, switch) if epoch is not None]
    if old != switch and min(epochs) < meta['epoch']:
        refuse(SWITCH, old, switch, f'{meta["epoch"]} epochs are done already')


def check_seed(old: int | None, new: int) -> None:
    """Raise a ValueError if a resumed run has another seed than before.

    Its batches are drawn from it, and its loader was built before the checkpoint is
    read.
    """
    if old is not None and old != new:
        raise ValueError(
            f'cannot resume with the seed {new}: the run had the seed {old}, and its '
            f'batches are drawn from it. Set randomness.seed={old}'
        )


def check_changes(changes: dict[str, tuple]) -> None:
    """Raise a ValueError if a change makes no sense in the middle of a run."""
    for name, reason in FIXED.items():
        if name in changes:
            refuse(name, *changes[name], reason)


def check_is_length(changed: list[str], loop: BaseLoop) -> None:
    """Raise a ValueError if more has changed than the length of a run."""
    others = [name for name in changed if name != length_of(loop)[0]]
    if others:
        raise ValueError(
            f'cannot resume with another {", ".join(others)}: the learning rate '
            'follows validation scores, so it cannot be computed for other settings. '
            'Use the old ones, or begin a new run with another --work-dir'
        )


def refuse(name: str, old, new, reason: str) -> None:
    """Raise a ValueError about a number that cannot be changed."""
    raise ValueError(
        f'cannot resume with another {name}, {described(old)} -> {described(new)}: '
        f'{reason}. Use {described(old)} again, or begin a new run with another '
        '--work-dir'
    )


def described(value) -> str:
    """Return a value as text."""
    return 'not set' if value is None else str(value)
