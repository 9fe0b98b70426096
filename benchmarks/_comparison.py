"""Shared by the benchmarks: cases with their sizes, timing, a table, --results."""

import argparse
import datetime
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from _machine import describe_machine, name_of
from PIL import Image

from mmimbal.command_line.memory import keep_memory
from mmimbal.command_line.prepared import root_of_data
from mmimbal.datasets import CSVDataset
from mmimbal.evaluation.table import format_table
from mmimbal.files.json_file import read_json, write_json

ISIC2018 = np.array([229, 359, 769, 80, 779, 4693, 100])  # training images per class
ISIC = root_of_data() / 'isic2018'
CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
# Start method for processes in tiny runs: fork is faster, but cannot use CUDA.
TINY_START = 'spawn' if DEVICE == 'cuda' else 'fork'


@dataclass
class Case:
    """A comparison of mmimbal with another implementation (peer), in two sizes.

    Attributes:
        measure: Function that returns our value, the value of the peer (``None`` if it
            cannot run), the name of the peer, and the unit.
        full: Arguments of the function for a measurement.
        tiny: Arguments for a test that takes seconds on one core.
        goal: Smallest ratio of the peer's value to ours that we want, or without a peer
            the largest value of ours; none if ``None``.
        needs: Data set without which there is no full measurement.
        has_ratio: Whether the two values can be divided.
    """

    measure: Callable[..., tuple[float, float | None, str, str]]
    full: dict
    tiny: dict
    goal: float | None = None
    needs: Path | None = None
    has_ratio: bool = True

    def row(self, name: str, size: str) -> dict:
        """Run with a size, ``'full'`` or ``'tiny'``; return a row of the table."""
        ours, peer, peer_name, unit = self.measure(**getattr(self, size))
        return dict(
            case=name,
            ours=ours,
            peer=peer,
            peer_name=peer_name,
            unit=unit,
            ratio=peer / ours if peer and self.has_ratio else None,
            goal=self.goal,
            size=size,
            images=describe_images(self.needs)
            if self.needs and size == 'full'
            else None,
            date=datetime.date.today().isoformat(),
        )

    def is_possible(self, size: str) -> bool:
        """Return whether the data set for a size is there."""
        return size == 'tiny' or self.needs is None or self.needs.is_dir()


@cache
def describe_images(folder: Path) -> str:
    """Return the name of a data set, its number of images and their usual size."""
    items = CSVDataset(str(folder), 'train').data_list
    some = items[:: max(1, len(items) // 100)]
    sizes = [Image.open(item['img_path']).size for item in some]
    width, height = np.median(sizes, axis=0).astype(int)
    return (
        f'The data set {folder.name} has {len(items):,} training images, usually of '
        f'{width} x {height} pixels'
    )


@dataclass
class Side:
    """One side of a comparison that needs a process of its own.

    Memory is kept for a whole process, and this cannot be undone.

    Attributes:
        make: Function that returns the function to measure; spawned processes find it
            by its name.
        arguments: Its arguments.
        keeps_memory: Whether the process keeps freed memory, as our tools do.
        environment: More environment variables; a forked process has read its own.
    """

    make: Callable[..., Callable]
    arguments: dict = field(default_factory=dict)
    keeps_memory: bool = True
    environment: dict = field(default_factory=dict)


def draw_labels(size: int, seed: int = 0) -> np.ndarray:
    """Draw labels with the class shares of ISIC 2018, (size,)."""
    shares = ISIC2018 / ISIC2018.sum()
    return np.random.default_rng(seed).choice(len(shares), size, p=shares)


class Labels:
    """A dataset that has only labels, with the class shares of ISIC 2018."""

    def __init__(self, size: int) -> None:
        self.labels = draw_labels(size)
        self.metainfo = dict(classes=tuple('abcdefg'))

    def __len__(self) -> int:
        return len(self.labels)

    def get_gt_labels(self) -> np.ndarray:
        """Return the labels, (N,)."""
        return self.labels


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
            if DEVICE == 'cuda':
                torch.cuda.synchronize()
            elapsed.append(time.perf_counter() - start)
    return [statistics.median(elapsed) for elapsed in times]


def seconds_of_sides(
    sides: list[Side],
    repeats: int,
    rounds: int,
    start: str,
    threads: int | None = None,
) -> list[float]:
    """Return median durations of sides, each in a process of its own.

    Processes take turns and have the same number of threads. The first call in each
    process is not counted.

    Args:
        sides: The sides.
        repeats: Calls in a turn.
        rounds: Turns of each process.
        start: Start method of the processes.
        threads: Threads of each process; as many as here if ``None``.
    """
    threads = threads or torch.get_num_threads()
    pools = [
        ProcessPoolExecutor(1, get_context(start), _prepare, (side, threads))
        for side in sides
    ]
    turns = [partial(pool.submit, _turn) for pool in pools]
    try:
        for side, turn in zip(sides, turns, strict=True):
            with patch.dict(os.environ, side.environment):  # the process starts
                turn(1).result()
        times = [[turn(repeats).result() for turn in turns] for _ in range(rounds)]
    finally:
        for pool in pools:
            pool.shutdown()
    return [statistics.median(elapsed) for elapsed in zip(*times, strict=True)]


def in_own_process(
    function: Callable, start: str, keeps_memory: bool, **arguments
) -> object:
    """Return what a function returns in a process of its own, with our threads.

    Args:
        function: A function of a module.
        start: Start method of the process.
        keeps_memory: Whether the process keeps freed memory.
        **arguments: Arguments of the function.
    """
    side = Side(dict, keeps_memory=keeps_memory)
    with ProcessPoolExecutor(
        1, get_context(start), _prepare, (side, torch.get_num_threads())
    ) as pool:
        return pool.submit(function, **arguments).result()


def _prepare(side: Side, threads: int) -> None:
    torch.set_num_threads(threads)
    if side.keeps_memory:
        keep_memory()
    _prepare.function = side.make(**side.arguments)


def _turn(repeats: int) -> float:
    return seconds(_prepare.function, repeats)


def compare(description: str, cases: dict[str, Case]) -> None:
    """Run cases, print a table, and with ``--results`` write it after each case.

    Args:
        description: Description of the benchmark, for ``--help`` and the page.
        cases: Cases by name.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        '--results',
        type=Path,
        metavar='FOLDER',
        help='write the rows to FOLDER/MACHINE/BENCHMARK.json',
    )
    parser.add_argument(
        '--only',
        default='*',
        metavar='PATTERN',
        help='run only matching cases; other rows of this machine are kept',
    )
    parser.add_argument(
        '--tiny',
        action='store_const',
        const='tiny',
        default='full',
        dest='size',
        help='test quickly that all cases run; the numbers mean nothing',
    )
    args = parser.parse_args()
    if sys.platform != 'linux':
        parser.error('benchmarks need Linux')
    chosen = {name: case for name, case in cases.items() if fnmatch(name, args.only)}
    if not chosen:
        parser.error(
            f'--only: no case matches {args.only}. They are:\n' + '\n'.join(cases)
        )
    if args.size == 'tiny':
        torch.set_num_threads(1)  # a fork of a process with several threads hangs
    machine = describe_machine()
    print(machine['device'])
    file, rows = None, {}
    if args.results:
        file = args.results / name_of(machine) / f'{Path(sys.argv[0]).stem}.json'
        kept = [n for n, case in cases.items() if not case.is_possible(args.size)]
        if args.only != '*' or kept:
            rows = rows_of_before(file, machine)
        if args.only == '*':
            rows = {name: row for name, row in rows.items() if name in kept}
        if args.size == 'tiny' and file.exists():
            parser.error(f'{file} exists: --tiny does not replace measured rows')
    for name, case in chosen.items():
        if not case.is_possible(args.size):
            print(f'Not measured: {name} needs images in {case.needs}')
            continue
        rows[name] = case.row(name, args.size)
        rows = {key: rows[key] for key in cases if key in rows}
        if file:
            done = list(rows.values())
            write_json(dict(description=description, machine=machine, rows=done), file)
    print_table(list(rows.values()))
    if args.size == 'tiny':
        print('Tiny sizes, only to test that all cases run: the numbers mean nothing.')


def rows_of_before(file: Path, machine: dict) -> dict[str, dict]:
    """Return the rows of an earlier run by name, if it was on the same machine.

    Raises:
        ValueError: If it was not.
    """
    if not file.exists():
        return {}
    before = read_json(file)
    if before['machine'] != machine:
        raise ValueError(
            f'{file} is from another machine or other versions: run without --only'
        )
    return {row['case']: row for row in before['rows']}


def print_table(rows: list[dict]) -> None:
    """Print the rows as a table."""
    cells = [
        (
            row['case'],
            *(f'{row[key]:.4g}' if row[key] else '-' for key in ('ours', 'peer')),
            row['unit'],
            *(f'{row[key]:.3g}' if row[key] else '-' for key in ('ratio', 'goal')),
        )
        for row in rows
    ]
    print(format_table(('case', 'ours', 'peer', 'unit', 'peer / ours', 'goal'), cells))
