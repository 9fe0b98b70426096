"""Write JSON files atomically, and name a damaged file when reading."""

import json
from pathlib import Path

from mmimbal.files.atomic import write_text


def write_json(content: object, path: Path) -> None:
    """Write JSON atomically; see :func:`mmimbal.files.atomic.atomic_write`."""
    write_text(json.dumps(content, indent=1) + '\n', path)


def read_json(path: Path) -> dict:
    """Read JSON.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated or is not JSON; the message names it.
    """
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path} is not a complete JSON file: {error}') from None
