"""JSON on disk: whole or not there, and an error that names a broken file."""

import json
from pathlib import Path

from mmimbal.files.atomic import write_text


def write_json(content: object, path: Path) -> None:
    """Write JSON; see :func:`mmimbal.files.atomic.atomic_write`."""
    write_text(json.dumps(content, indent=1) + '\n', path)


def read_json(path: Path) -> dict:
    """Read JSON.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is cut or no JSON; the message names it.
    """
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path} is no whole JSON file: {error}') from None
