"""Processes that tests start, wait for and look at."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 300  # seconds: what takes longer hangs, also on a busy machine
STARTED = []  # by the present test
MARK = f'STARTED_BY_TESTS={os.getpid()}'  # in their environment, and their children's


def start(command: Iterable, log: Path, **environment: str) -> subprocess.Popen:
    """Start a command. Its output goes to a file: nobody has to read it meanwhile."""
    marked = dict([MARK.split('=')], OMP_NUM_THREADS='1')
    with open(log, 'wb') as output:
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=ROOT,
            env={**os.environ, **marked, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own
        )
    STARTED.append(process)
    return process


def kill_what_is_left() -> None:
    """Kill what :func:`start` has started: a test that fails leaves it behind."""
    if not STARTED:
        return
    for number in processes():
        with suppress(OSError):  # it has just ended, or is somebody else's
            environment = Path(f'/proc/{number}/environ').read_bytes()
            if MARK.encode() in environment.split(b'\0'):
                os.kill(number, signal.SIGKILL)
    while STARTED:
        STARTED.pop().wait(PATIENCE)


def wait_until(is_so: Callable[[], object], process=None, log: Path | None = None):
    """Wait until something is so, and return it.

    Args:
        is_so: Asked again and again.
        process: Which it is waited for; if it ends, waiting fails.
        log: Of the process, shown then.
    """
    end = time.monotonic() + PATIENCE
    while not (found := is_so()):
        said = log.read_text()[-3000:] if log else ''
        ended = process is not None and process.poll() is not None
        assert not ended or is_so(), f'ended with {process.returncode}: {said}'
        assert time.monotonic() < end, f'not within {PATIENCE} seconds: {said}'
        time.sleep(0.05)  # leaves the core to what is waited for
    return found


def last_epoch(work_dir: Path) -> int:
    """Return how many epochs of a run are saved.

    A run removes old checkpoints, but this file stays.
    """
    try:
        saved = (work_dir / 'last_checkpoint').read_text()
    except FileNotFoundError:
        return 0
    number = re.search(r'epoch_(\d+)\.pth', saved)
    return int(number[1]) if number else 0  # while it is written it is empty


def free_port(among: range = range(0, 1)) -> int:
    """Return a port that nobody uses; any, if none are given."""
    begin = os.getpid() % len(among)  # two test processes begin at different ones
    for port in (*among[begin:], *among[:begin]):
        with socket.socket() as tried:
            try:
                tried.bind(('127.0.0.1', port))
            except OSError:
                continue
            return tried.getsockname()[1]
    raise OSError(f'no free port among {among}')


def processes() -> dict[int, tuple[int, int, str]]:
    """Return parent, group and start of every process that has not ended, by number."""
    found = {}
    for path in Path('/proc').glob('[0-9]*/stat'):
        try:
            state, parent, group, *rest = path.read_text().rpartition(')')[2].split()
        except OSError:  # it has just ended
            continue
        if state not in 'ZX':  # nobody has asked yet how it ended
            found[int(path.parent.name)] = int(parent), int(group), rest[16]
    return found


def children_of(number: int) -> dict[int, str]:
    """Return the start of each process that a process has started, and they."""
    alive, found, new = processes(), {}, {number}
    while new:
        children = {child for child, (parent, *_) in alive.items() if parent in new}
        new = children - found.keys()
        found |= {child: alive[child][2] for child in new}
    return found


def wait_for_the_end_of(started: dict[int, str]) -> None:
    """Wait until processes, as :func:`children_of` returns them, have ended."""

    def have_ended() -> bool:
        alive = processes()
        return not any(
            number in alive and alive[number][2] == start  # not a later one
            for number, start in started.items()
        )

    wait_until(have_ended)


def wait_for_the_end_of_group(group: int) -> None:
    """Wait until no process of a group is left."""
    wait_until(lambda: group not in {theirs for _, theirs, _ in processes().values()})
