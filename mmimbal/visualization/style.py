"""Colours and lines of runs, the same in all figures."""

COLOURS = ('#9a9a9a', '#3b7dd8', '#d1495b', '#3a9b6e', '#c77d0a', '#8e5bbf')
LINES = ('-', '--', ':', '-.')


def line_of(number: int) -> dict[str, str]:
    """Return colour and line style of a run; the first run (baseline) is grey."""
    return dict(
        color=COLOURS[number % len(COLOURS)],
        linestyle=LINES[number // len(COLOURS) % len(LINES)],
    )
