"""What the benchmarks share: class shares, medians, and a table with --json."""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from mmimbal.evaluation.table import format_table

ISIC2018 = np.array([229, 359, 769, 80, 779, 4693, 100])  # training images per class


def draw_labels(size: int, seed: int = 0) -> np.ndarray:
    """Draw labels at the class shares of ISIC 2018, (size,)."""
    shares = ISIC2018 / ISIC2018.sum()
    return np.random.default_rng(seed).choice(len(shares), size, p=shares)


def seconds(function: Callable, repeats: int) -> float:
    """Return the median time of a call."""
    return seconds_in_turn([function], repeats)[0]


def seconds_in_turn(functions: list[Callable], repeats: int) -> list[float]:
    """Return the median time of each, called in turn: a busy moment hits them all."""
    times = [[] for _ in functions]
    for _ in range(repeats):
        for function, elapsed in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            elapsed.append(time.perf_counter() - start)
    return [statistics.median(elapsed) for elapsed in times]


def compare(description: str, cases: dict[str, Callable]) -> None:
    """Run cases, print a table, and write it to ``--json FILE`` as it grows.

    Args:
        description: Of the benchmark, for ``--help``.
        cases: By name, functions that return ours, the peer's (``None`` where it cannot
            run), the peer's name and the unit.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--json', type=Path, help='write the rows to this file')
    args = parser.parse_args()
    if torch.cuda.is_available():
        print(torch.cuda.get_device_name())
    rows = []
    for case, run in cases.items():
        ours, peer, name, unit = run()
        ratio = peer / ours if peer else None
        rows.append(
            dict(
                case=case, ours=ours, peer=peer, peer_name=name, unit=unit, ratio=ratio
            )
        )
        if args.json:
            args.json.write_text(json.dumps(rows, indent=2) + '\n')
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
