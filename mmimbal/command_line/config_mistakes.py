"""Say a mistake in a config in one sentence: a typo in a type, an unknown argument."""

import difflib
import re
import traceback
from collections.abc import Mapping
from types import FrameType

NOT_REGISTERED = re.compile(r'(\S+) is not in the \w+::(.+?) registry')  # mmengine
WRONG_ARGUMENTS = re.compile(r'[\w.]+\(\) (got|missing|takes) ')  # Python
# Where mmengine asserts that a checkpoint has weights with a prefix.
WITH_PREFIX = ('mmengine.runner.checkpoint', '_load_checkpoint_with_prefix')
# Module and name of functions in which a ValueError of mmimbal is about the config.
READ_THE_CONFIG = {
    ('mmengine.registry.build_functions', 'build_from_cfg'),
    *(
        ('mmengine.runner.runner', f'build_{part}')
        for part in ('dataloader', 'train_loop', 'val_loop', 'test_loop')
    ),
    ('mmengine.runner.runner', '_init_model_weights'),
    ('mmengine.runner.runner', 'load_or_resume'),
    ('mmimbal.engine.hooks.check_run_hook', 'before_train'),
    ('mmimbal.engine.hooks.check_run_hook', 'before_train_epoch'),
    ('mmimbal.engine.hooks.class_counts_hook', 'before_train'),
    ('mmimbal.engine.hooks.set_epoch_hook', 'before_train_iter'),
    ('mmimbal.engine.hooks.two_stage_hook', 'before_train'),
}
# Functions in which batches are read: only what mmimbal itself raises is a mistake.
READ_BATCHES = {
    ('mmengine.evaluator.evaluator', 'process'),
    ('mmengine.evaluator.evaluator', 'evaluate'),
    ('mmengine.runner.loops', 'run_iter'),
}


def mistake_in_config(error: Exception) -> str | None:
    """Return what is wrong in a config, if the error says it.

    These are: a type that no registry has; arguments that a class does not take, or
    whose types a component of mmimbal does not take; a package that is to be installed;
    a prefix of weights that a checkpoint has not; a ValueError of mmimbal while a
    component is built, weights are loaded or a run is checked; and one that mmimbal
    raises of a batch or of predictions.

    Args:
        error: It was raised while components were built or a model trained.

    Returns:
        A sentence, or None for any other error: that of somebody's own component needs
        its traceback.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    places = [(module_of(frame), frame.f_code.co_name) for frame in frames]
    reading = [i for i, place in enumerate(places) if place in READ_THE_CONFIG]
    message = str(error.args[0]) if error.args else ''
    if isinstance(error, ImportError) and 'install' in message:
        return message
    is_ours = bool(frames) and module_of(frames[-1]).startswith('mmimbal.')
    if not reading:
        reads_batches = not READ_BATCHES.isdisjoint(places)
        return message if reads_batches and is_ours and raises(error) else None
    is_building = places[reading[-1]][1] == 'build_from_cfg'
    if places[-1] == WITH_PREFIX and isinstance(error, AssertionError):
        return f'prefix of init_cfg: {message}'
    if isinstance(error, KeyError) and (unknown := NOT_REGISTERED.match(message)):
        return unknown_type(*unknown.groups())
    if isinstance(error, TypeError) and WRONG_ARGUMENTS.match(message):
        below = {name for _, name in places[reading[-1] + 1 :]}
        if "'_delete_'" in message:
            message += ': the base has nothing there to delete, so leave it out'
        return message if below <= {'__init__'} else None
    if isinstance(error, TypeError) and is_building and is_ours:
        return wrong_type(frames[reading[-1]].f_locals['cfg'], message)
    is_mistake = isinstance(error, ValueError | KeyError | FileNotFoundError)
    return message if is_ours and is_mistake else None


def raises(error: Exception) -> bool:
    """Return whether an error is a ValueError of a ``raise`` statement."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return isinstance(error, ValueError) and (last.line or '').startswith('raise ')


def wrong_type(cfg: Mapping, message: str) -> str:
    """Return what to say of a component whose arguments have wrong types.

    Args:
        cfg: Its config.
        message: Of Python.
    """
    arguments = ', '.join(f'{k}={v!r}' for k, v in cfg.items() if k != 'type')
    return f'{cfg["type"]}: an argument has a wrong type ({message}): {arguments}'


def module_of(frame: FrameType) -> str:
    """Return the name of the module of a frame."""
    return frame.f_globals.get('__name__', '')


def unknown_type(name: str, kind: str) -> str:
    """Return what to say of a type that MMPretrain and mmengine do not have.

    Args:
        name: As it stands in the config.
        kind: Name of the registry, such as ``'model'``.
    """
    import mmengine.registry as root  # imports torch

    names = []
    for registry in vars(root).values():
        if isinstance(registry, root.Registry) and registry.name == kind:
            names += registry.module_dict
            for scope, child in registry.children.items():
                prefix = 'mmimbal.' if scope == 'mmimbal' else ''
                names += [prefix + each for each in child.module_dict]
    ours = [each for each in names if each == f'mmimbal.{name}']
    near = ours + difflib.get_close_matches(name, set(names) - set(ours), cutoff=0.5)
    hint = f'Similar names: {", ".join(near)}' if near else 'No name is similar'
    return f"MMPretrain and mmengine have no {kind} '{name}'. {hint}"


def differing_keys(message: str) -> str:
    """Return what mmengine says of keys of a checkpoint, of each kind the first ones.

    Args:
        message: A line for each kind: missing keys, unexpected ones, other sizes.
    """
    from mmimbal.datasets.spelling import shortened  # imports torch

    lines = [line.partition(': ') for line in message.splitlines() if ': ' in line]
    return '; '.join(
        f'{kind}: {shortened(keys.split(", "))}' for kind, _, keys in lines
    )
