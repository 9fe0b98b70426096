"""The triplet loss over all triplets of a batch, beside that of PML without a miner."""

import multiprocessing
import resource
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from _comparison import TINY_START, Case, compare, draw_labels, seconds, seconds_in_turn
from pytorch_metric_learning.losses import TripletMarginLoss

from mmimbal.models.losses import BatchAllTripletLoss

PEER = 'pytorch_metric_learning.losses.TripletMarginLoss'
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
LARGE = (1024, 2048, 4096) + ((8192, 16384) if DEVICE == 'cuda' else ())
MEMORY_LIMIT = 16 * 2**30  # bytes of address space, for the peer on a CPU
ended_at: dict[Callable, int] = {}  # the batch at which memory ended


def step_of(loss: torch.nn.Module, size: int) -> Callable:
    """Return a function that computes loss and gradient of B embeddings of 128."""
    torch.manual_seed(0)
    embeddings = torch.randn(size, 128, device=DEVICE, requires_grad=True)
    labels = torch.from_numpy(draw_labels(size)).to(DEVICE)
    return lambda: torch.autograd.grad(loss(embeddings, labels), embeddings)


def small(size: int, repeats: int) -> tuple[float, float, str, str]:
    """Time both in turn."""
    steps = [
        step_of(loss, size) for loss in (BatchAllTripletLoss(), TripletMarginLoss())
    ]
    for step in steps:
        step()
    ours, peer = seconds_in_turn(steps, repeats)
    return ours * 1e3, peer * 1e3, PEER, 'ms'


def large(size: int, repeats: int, start: str) -> tuple[float, float | None, str, str]:
    """Time ours, and the peer where memory suffices."""
    step = step_of(BatchAllTripletLoss(), size)
    step()
    ours = seconds(step, repeats) * 1e3
    return ours, in_own_process(time_of_peer, size, start), PEER, 'ms'


def growth(sizes: tuple[int, int], repeats: int) -> tuple[float, None, str, str]:
    """Return by how much the time grows from one batch size to another."""
    steps = [step_of(BatchAllTripletLoss(), size) for size in sizes]
    for step in steps:
        step()
    short, long = seconds_in_turn(steps, repeats)
    return long / short, None, PEER, 'times'


def memory(size: int, start: str) -> tuple[float, float | None, str, str]:
    """Compare the peak memory of one step, inputs not counted."""
    return (
        in_own_process(memory_of_ours, size, start),
        in_own_process(memory_of_peer, size, start),
        PEER,
        'MB',
    )


def time_of_peer(size: int) -> float:
    """Return the milliseconds of one step of the peer."""
    return seconds(step_of(TripletMarginLoss(), size), 1) * 1e3


def memory_of_ours(size: int) -> float:
    """Return the peak of one step, in MB."""
    return peak_memory(BatchAllTripletLoss(), size)


def memory_of_peer(size: int) -> float:
    """Return the peak of one step of the peer, in MB."""
    return peak_memory(TripletMarginLoss(), size)


def peak_memory(loss: torch.nn.Module, size: int) -> float:
    """Return by how many MB one step raises the peak of this process."""
    step_of(loss, 64)()  # what a first step loads
    step = step_of(loss, size)
    if DEVICE == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    Path('/proc/self/clear_refs').write_text('5')  # the peak starts anew
    before = resident('VmRSS')
    step()
    return resident('VmHWM') - before


def resident(key: str) -> float:
    """Return the memory of this process (VmRSS) or its peak (VmHWM), in MB."""
    status = dict(
        line.split(':', 1)
        for line in Path('/proc/self/status').read_text().splitlines()
    )
    return int(status[key].split()[0]) / 2**10


def in_own_process(function: Callable, size: int, start: str) -> float | None:
    """Return what a function returns in a process of its own; None if memory ends.

    Where it ended for a smaller batch, it is not tried again.

    Raises:
        RuntimeError: If it fails for another reason.
    """
    if size > ended_at.get(function, size):
        return None
    context = multiprocessing.get_context(start)
    results = context.SimpleQueue()
    process = context.Process(target=_limited, args=(function, size, results))
    process.start()
    process.join()
    if process.exitcode == 1:  # of an exception; memory that ends may kill it
        raise RuntimeError(f'{function.__name__} failed at B={size}: see above')
    if results.empty():
        ended_at[function] = size
        return None
    return results.get()


def _limited(function: Callable, size: int, results) -> None:
    if DEVICE == 'cpu':
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    try:
        results.put(function(size))
    except (RuntimeError, MemoryError) as error:
        message = traceback.format_exception_only(error)[0]
        if 'memory' not in message.lower():
            raise
        print(f'{function.__name__} at B={size}: {message.splitlines()[0]}')


TINY = dict(size=64, repeats=1)
TINY_MEMORY = dict(size=256, start=TINY_START)  # below, no page may be added
CASES = {
    **{
        f'B={size}': Case(small, dict(size=size, repeats=repeats), TINY)
        for size, repeats in ((128, 21), (256, 21), (384, 9), (512, 9))
    },
    'growth B=1024 to 4096': Case(
        growth, dict(sizes=(1024, 4096), repeats=5), dict(sizes=(32, 64), repeats=1)
    ),
    **{
        f'peak memory B={size}': Case(
            memory, dict(size=size, start='spawn'), TINY_MEMORY
        )
        for size in (512, 4096)
    },
    **{
        f'B={size}': Case(
            large,
            dict(size=size, repeats=5, start='spawn'),
            dict(TINY, start=TINY_START),
        )
        for size in LARGE
    },
}

if __name__ == '__main__':
    compare(__doc__, CASES)
