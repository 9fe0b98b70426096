"""Refuse values of ``--cfg-options`` that a Runner would not read."""

import copy
import difflib
import inspect
from collections.abc import Iterable, Mapping

from mmengine.config import Config
from mmengine.runner import Runner

# Config keys that a Runner reads: its arguments, and keys that it looks up itself.
RUNNER_KEYS = {
    *inspect.signature(Runner.__init__).parameters,
    'activation_checkpointing',
    'compile',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'sync_bn',
    'tta_model',
    'tta_pipeline',
} - {'self', 'cfg'}
MERGE_ERRORS = (AttributeError, KeyError, TypeError)  # of mmengine
# Keys of dicts that a Runner reads without checking that it knows all of them.
KNOWN_PARTS = dict(
    auto_scale_lr=('base_batch_size', 'enable'),
    env_cfg=('cudnn_benchmark', 'dist_cfg', 'mp_cfg', 'resource_limit'),
    randomness=tuple(inspect.signature(Runner.set_randomness).parameters)[1:],
)


def check_options(options: Iterable[str], cfg: Config) -> None:
    """Refuse ``--cfg-options`` that would have no effect.

    Config files have variables for their own use, such as ``head``. To change them
    after the file was read has no effect.

    Raises:
        ValueError: If an option does not start with a key that the Runner reads.
    """
    for option in options:
        key, _, rest = option.partition('.')
        if key == 'launcher':
            raise ValueError(
                '--cfg-options launcher would have no effect: use --launcher'
            )
        known = KNOWN_PARTS.get(key)
        if known and rest and rest.partition('.')[0] not in known:
            raise ValueError(
                f'--cfg-options {option} would have no effect: {key} has '
                f'{", ".join(known)}'
            )
        if key in RUNNER_KEYS:
            continue
        if key in cfg:
            hint = f"'{key}' is a variable of the config files. "
            if 'head' in key:
                hint += f"Did you mean 'model.head{'.' + rest if rest else ''}'?"
        else:
            near = difflib.get_close_matches(key, RUNNER_KEYS, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else ''
        message = f'--cfg-options {option} would have no effect. {hint}'
        raise ValueError(message.rstrip())


def merge_options(cfg: Config, options: Mapping[str, object]) -> None:
    """Merge ``--cfg-options`` into a config, which is changed.

    Raises:
        ValueError: If one names a place that the config does not have, such as an
            element after the end of a list.
    """
    try:
        cfg.merge_from_dict(options)
    except MERGE_ERRORS as error:
        wrong = [option for option in options if not _fits(cfg, option, options)]
        raise ValueError(
            f'--cfg-options {" ".join(wrong or options)}: the config has no such place '
            f'({error})'
        ) from None


def _fits(cfg: Config, option: str, options: Mapping[str, object]) -> bool:
    """Return whether an option alone can be merged into a config."""
    try:
        copy.deepcopy(cfg).merge_from_dict({option: options[option]})
    except MERGE_ERRORS:
        return False
    return True


def check_custom_hooks(cfg: Config) -> None:
    """Raise a ValueError if ``custom_hooks`` is no list of dicts.

    The command line has no way to write one.
    """
    hooks = cfg.get('custom_hooks') or []
    if isinstance(hooks, dict) or any(isinstance(hook, str) for hook in hooks):
        raise ValueError(
            f'custom_hooks={hooks} must be a list of dicts. They cannot be written on '
            "the command line: write them into a config file with _base_ = '...'"
        )
