"""Check before training that a checkpoint can be written with the given options."""

import inspect

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner


def check_checkpoint_options(runner: Runner) -> None:
    """Raise a ValueError if CheckpointHook has an option that nothing takes.

    It hands unknown ones to ``Runner.save_checkpoint`` at the end of the first epoch,
    with all that this method takes. Only a Runner of somebody's own takes more.
    """
    taken = inspect.signature(runner.save_checkpoint).parameters
    if any(each.kind is each.VAR_KEYWORD for each in taken.values()):
        return
    known = taken.keys() - inspect.signature(Runner.save_checkpoint).parameters.keys()
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and (unknown := hook.args.keys() - known):
            options = inspect.signature(type(hook)).parameters.keys()
            options |= inspect.signature(CheckpointHook).parameters.keys()
            raise ValueError(
                f'{type(hook).__name__} has no option {", ".join(sorted(unknown))}. It '
                f'has {", ".join(sorted(options - {"kwargs"}))}'
            )
