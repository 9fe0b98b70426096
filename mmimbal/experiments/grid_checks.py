"""Checks of a grid file: its keys, and what their values must be."""

import re
from collections.abc import Callable, Mapping, Sequence

from mmimbal.experiments.sweep_methods import files_of_methods


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_list(value: object, fits: Callable = lambda each: True) -> bool:
    return isinstance(value, list | tuple | range) and all(map(fits, value))


def _are_numbers(value: object, fits: Callable = lambda each: False) -> bool:
    """Return whether a value lists whole numbers from 0 on, each once."""
    is_list = _is_list(value, lambda n: fits(n) or (_is_whole(n) and n >= 0))
    return is_list and len(set(value)) == len(value)


# What a value must be, in words, and whether it is.
TEXT = ('a text in quotation marks', _is_text)
COUNT = ('a whole number above 0', lambda value: _is_whole(value) and value > 0)
BOOL = ('True or False', lambda value: isinstance(value, bool))
DICT = ('a dict', lambda value: isinstance(value, Mapping))
LIST = ('a list', _is_list)
NUMBERS = ('a list of whole numbers from 0 on, each once', _are_numbers)
FOLDS = (
    'a list of whole numbers from 0 on, each once, or of None for the split',
    lambda value: _are_numbers(value, lambda fold: fold is None),
)
# In names of files; and of rows of tables, where ' + ' stands before a stage 2.
NOT_IN_METHODS = re.compile(r'^[.-]|/|\\| \+ |^$')
WORDS = (
    'a list of words, or a word',
    lambda value: _is_text(value) or _is_list(value, _is_text),
)
GRID = dict(
    title=TEXT,
    notes=TEXT,
    judged_on=TEXT,
    profile=TEXT,
    datasets=DICT,
    folds=FOLDS,
    seeds=NUMBERS,
    methods=DICT,
    flags=LIST,
    options=DICT,
    plug_in=LIST,
    views=COUNT,
    search=BOOL,
)
DATASET = dict(options=DICT)
METHOD = dict(
    stage1=TEXT,
    one_stage=TEXT,
    config=TEXT,
    profile=TEXT,
    stage2=WORDS,
    options=DICT,
    dataset_options=DICT,
    seeds=NUMBERS,
    metric=BOOL,
)
NOT_EMPTY = ('datasets', 'methods', 'folds', 'seeds')


def check_keys(
    where: object,
    found: object,
    known: Mapping[str, tuple],
    needed: Sequence[str] = (),
) -> None:
    """Check keys and values of a part of a grid.

    Args:
        where: Name of the part, for the message.
        found: The part.
        known: :data:`GRID`, :data:`DATASET` or :data:`METHOD`.
        needed: Keys that must be there.

    Raises:
        ValueError: If it is no dict, keys are unknown or missing, or a value is of
            another type, empty or below 1.
    """
    if not isinstance(found, Mapping):
        raise ValueError(f'{where} must be a dict, such as dict(), got {found!r}')
    unknown, missing = set(found) - set(known), set(needed) - set(found)
    if unknown or missing:
        raise ValueError(
            f'{where} has keys {", ".join(map(str, found))}; '
            + (f'unknown: {", ".join(sorted(map(str, unknown)))}; ' if unknown else '')
            + (f'missing: {", ".join(sorted(missing))}; ' if missing else '')
            + f'known are {", ".join(known)}'
        )
    for key, value in found.items():
        text, fits = known[key]
        if not fits(value):
            raise ValueError(f'{where}: {key} must be {text}, got {value!r}')
        if key in NOT_EMPTY and not value:
            raise ValueError(f'{where}: {key}={value!r} must not be empty')


def check_method_name(where: object, method: object) -> None:
    """Raise a ValueError if files and tables cannot have the name of a method."""
    if not isinstance(method, str) or NOT_IN_METHODS.search(method):
        raise ValueError(
            f'{where}: the name of a method, {method!r}, must be a text without / or '
            "\\ or ' + ', and must not begin with . or -"
        )


def check_plain_values(where: object, options: Mapping) -> None:
    """Raise a ValueError if an option cannot be passed on a command line."""
    for key, value in options.items():
        if isinstance(value, Mapping) or (isinstance(value, str) and ',' in value):
            raise ValueError(
                f'{where}: options must be dotted keys with plain values, such as '
                f'optim_wrapper.clip_grad.max_norm=1.0, got {key}={value!r}'
            )


def check_stage2(where: object, methods: Sequence[str]) -> None:
    """Raise a ValueError if a way of stage 2 is not known, or named twice."""
    try:
        files_of_methods([] if list(methods) == ['all'] else methods)
    except (FileNotFoundError, ValueError) as error:
        raise ValueError(f'{where}, stage2: {error}') from None
