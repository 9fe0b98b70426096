"""A leaf with other bases: combinations that have no file of their own."""

import inspect
import re
import tempfile
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

# What a Runner reads of a config: its arguments, and keys it looks up itself.
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

BASE = r"""['"]\.\./_base_/([^'"]*)\.py['"]"""  # as a leaf writes it
METHOD_KEYS = ('head', 'stage2_head', 'stage2_train_cfg')  # of bases of the stages
# What makes another of a leaf's bases: endings of their names.
PROFILES = {
    '64px': {
        '_224px': '_64px',
        'models/resnet50': 'models/resnet18_half',
        'schedules/finetune_60e': 'schedules/scratch_40e',
    }
}


def bases_of(leaf: str) -> list[str]:
    """Return the paths of a leaf's bases below ``_base_/``, without their ``.py``.

    Raises:
        FileNotFoundError: If there is no such leaf.
    """
    if not Path(leaf).is_file():
        raise FileNotFoundError(f'no config {leaf}')
    return re.findall(BASE, Path(leaf).read_text())


def bases_of_profile(leaf: str, profile: str) -> list[str]:
    """Return what replaces bases of a leaf in a profile, as ``OLD=NEW``.

    ``64px`` is for a CPU: images of 64 pixels, and a small net from scratch.

    Raises:
        FileNotFoundError: If there is no such leaf.
        ValueError: If it has no base that the profile replaces.
    """
    replaced = [
        f'{base}={base.removesuffix(old)}{new}'
        for base in bases_of(leaf)
        for old, new in PROFILES[profile].items()
        if base.endswith(old)
    ]
    if not replaced:
        raise ValueError(f'--profile {profile} replaces no base of {leaf}')
    return replaced


def load_with_bases(leaf: str, replacements: list[str]) -> Config:
    """Load a leaf with some of its bases replaced.

    Args:
        leaf: Path of a config whose bases stand in ``../_base_/``.
        replacements: ``OLD=NEW``, each the path of a base below ``_base_/`` without
            its ``.py``.

    Raises:
        ValueError: If a replacement is no pair, the leaf has no such base, the new one
            sets something that neither the leaf nor a Runner reads, or it lacks
            something that the leaf reads.
        FileNotFoundError: If there is no such leaf or new base.
    """
    path = Path(leaf)
    if not path.is_file():
        raise FileNotFoundError(f'no config {leaf}')
    bases = path.resolve().parents[1] / '_base_'
    text = path.read_text()
    for replacement in replacements:
        old, _, new = replacement.partition('=')
        known = re.findall(BASE, text)
        if old not in known or not new:
            raise ValueError(
                f'--base {replacement}: expected OLD=NEW, where OLD is one of '
                f'{", ".join(known)}'
            )
        if not (bases / f'{new}.py').is_file():
            near = sorted(file.stem for file in (bases / new).parent.glob('*.py'))
            raise FileNotFoundError(
                f'--base {replacement}: no {bases / new}.py; there are '
                f'{", ".join(near) or "none"}'
            )
        unread = unread_keys(text, bases / f'{old}.py', bases / f'{new}.py')
        if unread:
            raise ValueError(
                f'--base {replacement}: {new} sets {", ".join(unread)}, which '
                f'{path.name} does not use. Start from a leaf that has {new}'
            )
        lacking = lacking_keys(text, bases / f'{old}.py', bases / f'{new}.py')
        if lacking:
            raise ValueError(
                f'--base {replacement}: {new} sets no {", ".join(lacking)}, which '
                f'{path.name} uses. Start from a leaf that has {new}'
            )
        text = text.replace(f'../_base_/{old}.py', f'../_base_/{new}.py')
    with tempfile.TemporaryDirectory() as folder:
        mixed = Path(folder, path.name)
        mixed.write_text(text.replace('../_base_/', f'{bases}/'))
        return Config.fromfile(mixed)


def unread_keys(leaf: str, old: Path, new: Path) -> list[str]:
    """Return what a new base sets, and nothing would read.

    That is what the old one does not set, and a head, or a way to train it, that is not
    the old one's: the leaf would train another method than its bases say.
    """
    before, now = Config.fromfile(old), Config.fromfile(new)
    wanted = now.keys() - before.keys()
    wanted |= {key for key in METHOD_KEYS if now.get(key) != before.get(key)}
    return [
        key
        for key in sorted(wanted)
        if key not in RUNNER_KEYS and not re.search(rf'_base_\.{key}\b', leaf)
    ]


def lacking_keys(leaf: str, old: Path, new: Path) -> list[str]:
    """Return what a leaf reads of an old base, and a new one does not set."""
    lost = Config.fromfile(old).keys() - Config.fromfile(new).keys()
    return [key for key in sorted(lost) if re.search(rf'_base_\.{key}\b', leaf)]
