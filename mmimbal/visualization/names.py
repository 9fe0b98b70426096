"""Names from data, such as classes and runs, as text in figures."""

import unicodedata
from collections.abc import Iterable

COLUMNS = 40  # of a name; longer ones are shortened
JOINERS = '\u200c\u200d'  # part of the spelling in Persian and Hindi, for example
NO_XML = '\ufffe\uffff'


def plain(name: str, columns: int = COLUMNS) -> str:
    """Return a name on one line; if too long, without its middle.

    Line breaks become spaces. What controls the direction of text is left out: it
    would also change the text that follows.
    """
    name = ' '.join(''.join(map(_printable, name)).split())
    if columns_of(name) <= columns:
        return name
    half = (columns - 1) // 2
    return f'{_start(name, half)}…{_start(name[::-1], half)[::-1]}'


def plain_names(names: Iterable[str], columns: int = COLUMNS) -> list[str]:
    """Return names on one line; none is shortened so far that two are alike."""
    names = list(names)
    longest = max(map(columns_of, names), default=0)
    while True:
        short = [plain(name, columns) for name in names]
        if len(set(short)) == len(set(names)) or columns >= longest:
            return short
        columns *= 2


def wrapped(name: str, columns: int) -> str:
    """Return a name over as many lines as it needs, of at most some columns each."""
    lines = ['']
    for word in name.split(' '):
        while columns_of(word) > columns:  # a word that no line can hold
            start = _start(word, columns)
            lines.append(start)
            word = word[len(start) :]
        joined = f'{lines[-1]} {word}' if lines[-1] else word
        if columns_of(joined) <= columns:
            lines[-1] = joined
        else:
            lines.append(word)
    return '\n'.join(filter(None, lines))


def legend_name(name: str) -> str:
    """Return a name for a legend: matplotlib hides names that begin with ``_``."""
    return f' {name}' if name.startswith('_') else name


def columns_of(name: str) -> int:
    """Return the width of a name; Chinese characters, for example, have 2 columns."""
    return sum(map(_columns, name))


def _columns(character: str) -> int:
    if unicodedata.combining(character) or character in JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in 'WF' else 1


def _start(name: str, columns: int) -> str:
    """Return the first characters of a name that fit."""
    width = 0
    for place, character in enumerate(name):
        width += _columns(character)
        if width > columns:
            return name[:place]
    return name


def _printable(character: str) -> str:
    category = unicodedata.category(character)
    if category == 'Cs' or character in NO_XML:
        return '\ufffd'
    if category == 'Cf' and character not in JOINERS:
        return ''
    return ' ' if category in ('Cc', 'Zl', 'Zp') else character
