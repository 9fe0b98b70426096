"""Tables and folded parts of Markdown."""

from collections.abc import Iterable, Iterator, Sequence


def folded(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield lines that a click on the title shows."""
    yield from (f'<details><summary>{title}</summary>', '')
    yield from lines
    yield from ('', '</details>')


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a Markdown table, numbers to the right."""
    yield f'| {" | ".join(header)} |'
    yield f'|---|{"---:|" * (len(header) - 1)}'
    for row in rows:
        yield f'| {" | ".join(row)} |'
