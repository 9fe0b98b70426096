"""Read configs, and cache their text, which mmengine formats for every checkpoint."""

import traceback
from functools import lru_cache
from pathlib import Path

from mmengine.config import Config


def read_config(file: Path | str) -> Config:
    """Read a config.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it, or one of its bases, is not Python; the message names the
            file and the line. If a variable of the environment that it names is not
            set, or empty.
    """
    try:
        return Config.fromfile(file)
    except SyntaxError as error:
        raise ValueError(_say(error, str(file))) from None
    except KeyError as error:
        if 'os.environ' not in str(error):
            raise
        raise ValueError(
            f'{file}: {error.args[0]} An empty value counts as not set'
        ) from None


def _say(error: SyntaxError, file: str) -> str:
    """Return what is wrong in which file; mmengine parses texts without a name."""
    if error.filename and not error.filename.startswith('<'):
        file = error.filename  # of a module that the config imports
    else:  # that which mmengine was reading, perhaps a base
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if frame.f_globals.get('__name__') == 'mmengine.config.config':
                file = frame.f_locals.get('filename', file)
    if error.lineno is None and isinstance(error.__context__, SyntaxError):
        error = error.__context__  # mmengine has raised another one of it
    return (
        f'{file} is not in Python ({error.msg}), line {error.lineno}: '
        f'{(error.text or "").strip()}'
    )


class CachedTextConfig(Config):
    """A config whose text is formatted again only if the config has changed.

    Formatting takes 0.3 s, which is longer than an epoch on cached features.
    """

    @property
    def pretty_text(self) -> str:
        """Text of the config, as Python code."""
        return _format(_AsKey(repr(self._cfg_dict), self))


class _AsKey:
    """A key for ``lru_cache``: equal if the content of the configs is equal."""

    def __init__(self, content: str, cfg: Config) -> None:
        self.content = content
        self.cfg = cfg

    def __hash__(self) -> int:
        return hash(self.content)

    def __eq__(self, other: object) -> bool:
        return self.content == other.content


@lru_cache(maxsize=1)
def _format(key: _AsKey) -> str:
    return Config.pretty_text.fget(key.cfg)
