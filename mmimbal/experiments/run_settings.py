"""What a result was made with, kept beside it: nothing is taken for what it is not."""

import json
from collections.abc import Mapping
from pathlib import Path

from mmimbal.files.json_file import read_json, write_json

LONGEST = 60  # value in a message


def record_settings(settings: Mapping, folder: Path) -> None:
    """Write the settings of a folder; if they are there, see that they are the same.

    Args:
        settings: Of what is done in it; what JSON does not know is kept as text.
        folder: It is made if need be.

    Raises:
        ValueError: If it was begun with others.
    """
    file = folder / 'settings.json'
    settings = json.loads(json.dumps(settings, default=str))
    if file.is_file():
        check_settings(read_json(file), settings, folder)
    else:
        write_json(settings, file)


def check_settings(found: Mapping, wanted: Mapping, path: Path) -> None:
    """Check that something was made with the settings that are asked for.

    Args:
        found: Settings it was made with.
        wanted: Settings of now.
        path: What was made.

    Raises:
        ValueError: If they differ; the message says in what.
    """
    before, now = _flat(found), _flat(wanted)
    changes = [
        f'{key} was {_short(before, key)}, is {_short(now, key)}'
        for key in sorted(before.keys() | now.keys())
        if key not in before or key not in now or before[key] != now[key]
    ]
    if changes:
        raise ValueError(
            f'{path} was made with other settings: {"; ".join(changes)}. Remove it, '
            'and the same command makes it again; or write elsewhere'
        )


def _flat(settings: Mapping, prefix: str = '') -> dict[str, object]:
    """Return settings by dotted keys."""
    found: dict[str, object] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f'{prefix}{key}.')
        else:
            found[f'{prefix}{key}'] = value
    return found


def _short(settings: Mapping, key: str) -> str:
    text = repr(settings[key]) if key in settings else 'not there'
    return text if len(text) <= LONGEST else f'{text[:LONGEST]}...'
