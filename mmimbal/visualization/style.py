"""How runs and classes look, the same in all figures."""

COLOURS = ('#9a9a9a', '#3b7dd8', '#d1495b', '#3a9b6e', '#c77d0a', '#8e5bbf')
LINES = ('-', '--', ':', '-.')


def line_of(number: int) -> dict[str, str]:
    """Return colour and line of a run; the first, to compare with, is grey."""
    return dict(
        color=COLOURS[number % len(COLOURS)],
        linestyle=LINES[number // len(COLOURS) % len(LINES)],
    )


def legend_name(name: str) -> str:
    """Return a name that matplotlib shows: it leaves out those that begin with _."""
    return f' {name}' if name.startswith('_') else name
