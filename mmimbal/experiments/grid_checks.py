"""Checks of a grid file: its keys, and what their values must be."""

from collections.abc import Mapping, Sequence

from mmimbal.experiments.sweep_methods import files_of_methods

# What a key must be, in words, and the types that are it.
TEXT = ('a text in quotation marks', str)
NUMBERS = ('a list of whole numbers', list | tuple | range)
FOLDS = ('a list of whole numbers, or of None for the split', list | tuple | range)
WORDS = ('a list of words, or a word', list | tuple | str)
LIST = ('a list', list | tuple)
DICT = ('a dict', Mapping)
BOOL = ('True or False', bool)
COUNT = ('a whole number above 0', int)
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
            + (f'unknown: {", ".join(map(str, unknown))}; ' if unknown else '')
            + (f'missing: {", ".join(sorted(missing))}; ' if missing else '')
            + f'known are {", ".join(known)}'
        )
    for key, value in found.items():
        text, types = known[key]
        if not isinstance(value, types) or not _fits(value, known[key]):
            raise ValueError(f'{where}: {key} must be {text}, got {value!r}')
        if key in NOT_EMPTY and not value:
            raise ValueError(f'{where}: {key}={value!r} must not be empty')


def _fits(value: object, wanted: tuple) -> bool:
    """Return whether a value of the right type is right in itself."""
    if wanted is FOLDS:
        return all(fold is None or _is_whole(fold) for fold in value)
    if wanted is NUMBERS:
        return all(map(_is_whole, value))
    if wanted is WORDS:
        return all(isinstance(word, str) for word in value)
    if wanted is COUNT:
        return _is_whole(value) and value > 0
    return True


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


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
