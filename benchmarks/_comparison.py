"""Shared by the benchmarks: cases with their sizes, timing, a table, --json."""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mmimbal.evaluation.table import format_table

ISIC2018 = np.array([229, 359, 769, 80, 779, 4693, 100])  # training images per class
# Start method for processes in tiny runs: fork is faster, but cannot use CUDA.
TINY_START = 'spawn' if torch.cuda.is_available() else 'fork'


@dataclass
class Case:
    """A comparison of mmimbal with another implementation (peer), in two sizes.

    Attributes:
        measure: Function that returns our value, the value of the peer (``None`` if it
            cannot run), the name of the peer, and the unit.
        full: Arguments of the function for a measurement.
        tiny: Arguments for a test that takes seconds on one core.
    """

    measure: Callable[..., tuple[float, float | None, str, str]]
    full: dict
    tiny: dict

    def row(self, name: str, size: str) -> dict:
        """Run with a size, ``'full'`` or ``'tiny'``; return a row of the table."""
        ours, peer, peer_name, unit = self.measure(**getattr(self, size))
        return dict(
            case=name,
            ours=ours,
            peer=peer,
            peer_name=peer_name,
            unit=unit,
            ratio=peer / ours if peer else None,
            size=size,
        )


def draw_labels(size: int, seed: int = 0) -> np.ndarray:
    """Draw labels with the class shares of ISIC 2018, (size,)."""
    shares = ISIC2018 / ISIC2018.sum()
    return np.random.default_rng(seed).choice(len(shares), size, p=shares)


def seconds(function: Callable, repeats: int) -> float:
    """Return the median duration of a call."""
    return seconds_in_turn([function], repeats)[0]


def seconds_in_turn(functions: list[Callable], repeats: int) -> list[float]:
    """Return median durations; calls alternate, so that other load affects all."""
    times = [[] for _ in functions]
    for _ in range(repeats):
        for function, elapsed in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            elapsed.append(time.perf_counter() - start)
    return [statistics.median(elapsed) for elapsed in times]


def compare(description: str, cases: dict[str, Case]) -> None:
    """Run cases, print a table, and write ``--json FILE`` after each case.

    Args:
        description: Description of the benchmark for ``--help``.
        cases: Cases by name.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--json', type=Path, help='write the rows to this file')
    parser.add_argument(
        '--tiny',
        action='store_const',
        const='tiny',
        default='full',
        dest='size',
        help='test quickly that all cases run; the numbers mean nothing',
    )
    args = parser.parse_args()
    if args.size == 'tiny':
        torch.set_num_threads(1)  # a fork of a process with several threads hangs
    if torch.cuda.is_available():
        print(torch.cuda.get_device_name())
    rows = []
    for name, case in cases.items():
        rows.append(case.row(name, args.size))
        if args.json:
            args.json.write_text(json.dumps(rows, indent=2) + '\n')
    print_table(rows)
    if args.size == 'tiny':
        print('Tiny sizes, only to test that all cases run: the numbers mean nothing.')


def print_table(rows: list[dict]) -> None:
    """Print the rows as a table."""
    cells = [
        (
            row['case'],
            *(f'{row[key]:.4g}' if row[key] else '-' for key in ('ours', 'peer')),
            row['unit'],
            f'{row["ratio"]:.3g}' if row['ratio'] else '-',
        )
        for row in rows
    ]
    print(format_table(('case', 'ours', 'peer', 'unit', 'peer / ours'), cells))
