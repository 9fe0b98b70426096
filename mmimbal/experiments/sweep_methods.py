"""The methods of a sweep: bases of configs/_base_/stage2/, or files like them."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from mmimbal.command_line.experiment import BASES, words_of
from mmimbal.files.config_text import read_config


def files_of_methods(names: Sequence[str]) -> dict[str, Path]:
    """Return the files of methods, by name.

    Args:
        names: Words or paths.

    Raises:
        FileNotFoundError: If there is no such base.
        ValueError: If two methods have the same name.
    """
    known = {word: BASES / 'stage2' / f'{word}.py' for word in words_of('stage2')}
    files = {}
    for name in names:
        path = known.get(name, Path(name))
        if path.suffix != '.py' or not path.is_file():
            raise FileNotFoundError(
                f'no method {name}; known are {", ".join(known)}, or give a .py file'
            )
        if path.stem in files:
            raise ValueError(f'the method {path.stem} is named twice')
        files[path.stem] = path
    return files


def load_methods(names: Sequence[str]) -> dict[str, Config]:
    """Load the bases of methods, by name.

    Args:
        names: Words or paths; ``['all']`` for all words but those that say
            ``by_name_only``.

    Raises:
        FileNotFoundError: If there is no such base.
        ValueError: If two methods have the same name.
    """
    is_all = list(names) == ['all']
    files = files_of_methods(words_of('stage2') if is_all else names)
    methods = {name: read_config(file) for name, file in files.items()}
    if is_all:
        methods = {n: cfg for n, cfg in methods.items() if not cfg.get('by_name_only')}
    return methods
