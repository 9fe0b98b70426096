"""Names that people spell in several ways: classes, splits, unknown groups."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

SPLIT_WORDS = dict(
    train=('train', 'training', 'trn', 'tr'),
    val=('val', 'valid', 'validation', 'validate', 'dev'),
    test=('test', 'testing', 'tst', 'te'),
)
SPLITS = tuple(SPLIT_WORDS)
NOT_OF_SPLITS = {'set', 'data', 'dataset', 'images', 'imgs', 'folder'}
JOINED_SET = re.compile(f'({"|".join(NOT_OF_SPLITS)})$')
YEAR = re.compile(r'(19|20)\d\d')
NUMBER = re.compile(r'0*(\d+?)(?:\.0+)?')
MOST_NAMES = 10  # in a message
MOST_MISSING = 10  # numbers up to the highest, for each label
# Also what spreadsheets and databases write.
UNKNOWN_WORDS = {
    *('', 'nan', 'nat', 'na', 'n/a', 'n.a.', '<na>', 'none', 'null', '(null)', '\\n'),
    *('unknown', 'not available', '?', '-', '--'),
    *('#n/a', '#nv', '#name?', '#ref!', '#value!', '#null!', '#div/0!', '#num!'),
}


def spelling_key(name: str) -> str:
    """Return a name without what people overlook.

    This is case, blanks, Unicode form and invisible characters; and how a number is
    written: ``01`` and ``1.0`` are ``1``.
    """
    folded = unicodedata.normalize('NFKC', name).casefold()
    folded = ''.join(c for c in folded if unicodedata.category(c) != 'Cf')
    if number := NUMBER.fullmatch(folded.strip()):
        return number[1]
    # A hyphen at an end has a meaning: HER2-, -1.
    inner = re.sub(r'(?<=\w)-+(?=\w)', ' ', folded.replace('_', ' '))
    return ' '.join(inner.split())


def split_of(name: str) -> str | None:
    """Return ``'train'``, ``'val'`` or ``'test'`` for a usual name of a split."""
    words = spelling_key(' '.join(parts_of_name(name))).split()
    while words and (words[-1] in NOT_OF_SPLITS or YEAR.fullmatch(words[-1])):
        words.pop()
    word = JOINED_SET.sub('', ' '.join(words))
    for split, words in SPLIT_WORDS.items():
        if word in words:
            return split
    return None


def parts_of_name(name: str) -> list[str]:
    """Return the words of a name, also those of ``TrainData`` and ``train2017``."""
    apart = re.sub(r'(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)', ' ', name)
    return re.split(r'[ _-]+', apart)


def is_unknown(name: str) -> bool:
    """Return whether a cell says that nothing is known: empty, ``nan``, ``NA``."""
    return name.strip().casefold() in UNKNOWN_WORDS


def near_equal(names: Iterable[str]) -> list[str]:
    """Return the names with the same :func:`spelling_key`, and their numbers."""
    spellings = defaultdict(list)
    for name, count in Counter(names).items():
        spellings[spelling_key(name)].append(f'{name!r} ({count} images)')
    return [' and '.join(sorted(group)) for group in spellings.values() if group[1:]]


def check_near_equal(names: Iterable[str], what: str, where: object) -> None:
    """Check that no two names have the same :func:`spelling_key`.

    Args:
        names: The name of each image.
        what: What is named, such as ``'classes'``.
        where: File or folder, for the message.

    Raises:
        ValueError: If some do; with their numbers of images.
    """
    if double := near_equal(names):
        raise ValueError(
            f'{where}: {what} that differ only in capital letters, blanks, hyphens, '
            'Unicode form or how a number is written: '
            f'{shortened(double, "; ")}. Give them one name'
        )


def shortened(names: Sequence[str], separator: str = ', ') -> str:
    """Return names for a message; of many, the first ones and how many follow."""
    shown = separator.join(names[:MOST_NAMES])
    more = len(names) - MOST_NAMES
    return f'{shown}{separator}and {more} more' if more > 0 else shown


def classes_of(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the class names of labels, each once, in the order of their indices.

    Numbers are indices, unless they are codes: then most of the indices below the
    highest number would be missing.
    """
    if not all(label.isdecimal() for label in labels):
        return tuple(sorted(labels))
    highest = max(map(int, labels))
    if highest + 1 > len(labels) * MOST_MISSING:
        return tuple(sorted(labels, key=int))
    return tuple(map(str, range(highest + 1)))
