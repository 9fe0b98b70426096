"""Write docs/speed.md from the results of all benchmarks."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from _machine import title_of

from mmimbal.files.atomic import check_can_be_file, write_text
from mmimbal.files.json_file import read_json

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / 'results' / 'speed', ROOT / 'docs' / 'speed.md'
ABOUT = """# Speed and memory

How fast mmimbal is, and what memory it needs, beside what a user would pick instead.
`ratio` is the value of the other implementation (peer) divided by ours: above 1, ours
is better. `goal` is the smallest ratio that we want; for a row without a peer it is the
largest value. Rows that miss their goal are in bold. Times are medians, and both sides
take turns with the same number of threads, if a section does not say otherwise. Rows
are measured one after another, and a machine is not equally fast all the time: compare
the two sides of a row, not two rows.

This page is written by `make speed` and, on a GPU, by `make speed-gpu`, which run the
files in `benchmarks/` on Linux. Measure on an idle machine.
"""


def speed_page(results: Path) -> str:
    """Return the page with the results of all benchmarks, one section per machine.

    Args:
        results: Folder with ``MACHINE/BENCHMARK.json``.

    Raises:
        FileNotFoundError: If there are no results.
        ValueError: If a machine has two results of a benchmark.
    """
    files = sorted(results.glob('*/*.json'))
    if not files:
        raise FileNotFoundError(f'no results of benchmarks in {results}')
    machines = {}  # description: its benchmarks by name
    for file in files:
        found = read_json(file)
        benchmarks = machines.setdefault(describe(found['machine']), {})
        if file.stem in benchmarks:
            raise ValueError(f'{file}: the same machine has another {file.name}')
        benchmarks[file.stem] = found
    # CPUs first.
    ordered = sorted(
        machines.items(),
        key=lambda item: (next(iter(item[1].values()))['machine']['gpu'], item[0]),
    )
    parts = [ABOUT]
    for description, benchmarks in ordered:
        parts.append(description)
        parts += [section(name, found) for name, found in benchmarks.items()]
    return '\n'.join(parts)


def describe(machine: dict) -> str:
    """Return the title and the description of a machine."""
    versions = ', '.join(f'{name} {text}' for name, text in machine['versions'].items())
    cpu = title_of(machine | dict(device=machine['cpu'], gpu=False))
    return (
        f'## {title_of(machine)}\n\n{cpu}; {machine["threads"]} threads; {versions}.\n'
    )


def section(name: str, found: dict) -> str:
    """Return the table of a benchmark."""
    header = ('case', 'ours', 'peer', 'unit', 'ratio', 'goal', 'the peer')
    lines = [header, ['---'] + ['---:'] * 2 + ['---'] + ['---:'] * 2 + ['---']]
    lines += [cells(row) for row in found['rows']]
    table = '\n'.join(f'| {" | ".join(line)} |' for line in lines)
    dates = sorted({row['date'] for row in found['rows']})
    measured = f'Measured on {", ".join(dates)}.'
    images = ''.join(f' {text}.' for text in images_of(found['rows']))
    description = found['description'].strip()
    return f'### {name}\n\n{description}\n\n{measured}{images}\n\n{table}\n'


def images_of(rows: list[dict]) -> list[str]:
    """Return what the rows say of their images, each text once."""
    return list(dict.fromkeys(row['images'] for row in rows if row['images']))


def cells(row: dict) -> Sequence[str]:
    """Return the cells of a row; the ratio is bold if it misses the goal."""
    ours, ratio, goal = show(row['ours']), show(row['ratio']), show(row['goal'])
    if misses_goal(row):
        ours, ratio = (ours, f'**{ratio}**') if row['ratio'] else (f'**{ours}**', ratio)
    if row['goal'] and not row['ratio']:
        goal = f'at most {goal}'
    return (
        row['case'],
        ours,
        show(row['peer']),
        row['unit'],
        ratio,
        goal,
        row['peer_name'],
    )


def misses_goal(row: dict) -> bool:
    """Return whether a row has a goal and misses it."""
    if row['goal'] is None:
        return False
    if row['ratio'] is None:
        return row['ours'] > row['goal']
    return row['ratio'] < row['goal']


def show(value: float | None) -> str:
    """Return a number with three digits; ``-`` for ``None``."""
    if value is None:
        return '-'
    return f'{value:,.0f}' if value >= 1000 else f'{value:.3g}'


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--results', type=Path, default=RESULTS)
    parser.add_argument('--out', type=Path, default=PAGE)
    args = parser.parse_args()
    check_can_be_file(args.out)
    write_text(speed_page(args.results), args.out)
    print(f'Written: {args.out}')


if __name__ == '__main__':
    main()
