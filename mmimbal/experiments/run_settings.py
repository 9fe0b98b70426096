"""Save the settings of a run next to its results, and check them before reuse."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmimbal.files.json_file import read_json, write_json

LONGEST = 60  # characters of a value in a message
RECORDED = 'settings.json'
NOT_IN_RESULT = '.dataset.cache'  # end of keys that change no result
# Start of keys of hashes of data. Older settings have none, and neither has a machine
# without the data: then there is nothing to compare.
DATA = 'index.csv'


def record_settings(
    settings: Mapping, folder: Path, may_change: Sequence[str] = ()
) -> None:
    """Write the settings of a run to its folder; if they exist, check that they match.

    Args:
        settings: Settings of the run; values that JSON does not support become text.
        folder: Folder of the run; it is created if it does not exist.
        may_change: Keys of settings that a run may have changed.

    Raises:
        ValueError: If the run in this folder has other settings.
    """
    file = folder / RECORDED
    settings = json.loads(json.dumps(settings, default=str))
    if file.is_file():
        before, now = (
            {key: value for key, value in each.items() if key not in may_change}
            for each in (read_json(file), settings)
        )
        check_settings(before, now, folder)
    else:
        write_json(settings, file)


def check_settings(old: Mapping, new: Mapping, path: Path) -> None:
    """Check that existing results have the same settings as a new run.

    Args:
        old: Settings of the existing results.
        new: Settings of the new run.
        path: File or folder of the existing results.

    Raises:
        ValueError: If settings differ; the message says which.
    """
    before, now = _flat(old), _flat(new)
    changes = [
        f'{key} was {_short(before, key)}, now it is {_short(now, key)}'
        for key in sorted(before.keys() | now.keys())
        if _differ(key, before, now)
    ]
    if changes:
        raise ValueError(
            f'{path} was made with other settings: {"; ".join(changes)}. Remove it and '
            'run the same command again, or write to another folder'
        )


def _differ(key: str, before: Mapping, now: Mapping) -> bool:
    if key in before and key in now:
        return before[key] != now[key]
    return not key.startswith(DATA)


def _flat(settings: Mapping, prefix: str = '') -> dict[str, object]:
    """Return nested settings, those that change results, with dotted keys."""
    flat: dict[str, object] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f'{prefix}{key}.')
        elif not key.endswith(NOT_IN_RESULT):
            flat[f'{prefix}{key}'] = value
    return flat


def _short(settings: Mapping, key: str) -> str:
    text = repr(settings[key]) if key in settings else 'missing'
    return text if len(text) <= LONGEST else f'{text[:LONGEST]}...'
