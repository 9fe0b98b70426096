"""Compare our triplet loss over all triplets of a batch with that of PML.

PML is pytorch-metric-learning. Both have the same margin and distance, and the same
value: loss and gradient of B embeddings of 128 numbers, whose labels have the class
shares of ISIC 2018. From B=1024 on, each side has a process of its own, one after the
other, with at most 16 GiB of address space on a CPU; the peer has `-` where that is too
small. Peak memory is measured once.
"""

import multiprocessing
import resource
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from _comparison import (
    DEVICE,
    TINY_START,
    Case,
    Side,
    compare,
    draw_labels,
    seconds,
    seconds_in_turn,
    seconds_of_sides,
)
from pytorch_metric_learning.losses import TripletMarginLoss

from mmimbal.models.losses import BatchAllTripletLoss

PEER = 'pytorch_metric_learning.losses.TripletMarginLoss'
LARGE = (1024, 2048, 4096) + ((8192, 16384) if DEVICE == 'cuda' else ())
MARGIN = 0.2
ON_A_GPU = 1 if DEVICE == 'cuda' else None  # goal: not slower than the peer
MEMORY_LIMIT = 16 * 2**30  # bytes of address space, on a CPU
out_of_memory_at: dict[Callable, int] = {}  # batch size at which memory was too small


def losses() -> tuple[torch.nn.Module, torch.nn.Module]:
    """Return our loss and that of the peer."""
    return BatchAllTripletLoss(margin=MARGIN), TripletMarginLoss(margin=MARGIN)


def step_of(loss: torch.nn.Module, size: int) -> Callable:
    """Return a function that computes loss and gradient of embeddings, (size, 128)."""
    torch.manual_seed(0)
    embeddings = torch.randn(size, 128, device=DEVICE, requires_grad=True)
    labels = torch.from_numpy(draw_labels(size)).to(DEVICE)
    return lambda: torch.autograd.grad(loss(embeddings, labels), embeddings)


def small(size: int, repeats: int) -> tuple[float, float, str, str]:
    """Measure both, alternately."""
    steps = [step_of(loss, size) for loss in losses()]
    for step in steps:
        step()
    ours, peer = seconds_in_turn(steps, repeats)
    return ours * 1e3, peer * 1e3, PEER, 'ms'


def memory_kept(
    size: int, start: str, repeats: int, rounds: int
) -> tuple[float, float, str, str]:
    """Measure both in processes that keep freed memory, as in our training."""
    sides = [Side(step_of, dict(loss=loss, size=size)) for loss in losses()]
    ours, peer = seconds_of_sides(sides, repeats, rounds, start)
    return ours * 1e3, peer * 1e3, PEER, 'ms'


def large(size: int, start: str) -> tuple[float, float | None, str, str]:
    """Measure ours, and the peer if there is enough memory."""
    return (
        with_limited_memory(time_of_ours, size, start),
        with_limited_memory(time_of_peer, size, start),
        PEER,
        'ms',
    )


def memory(size: int, start: str) -> tuple[float, float | None, str, str]:
    """Compare the peak memory of one step, without the inputs."""
    return (
        with_limited_memory(memory_of_ours, size, start),
        with_limited_memory(memory_of_peer, size, start),
        PEER,
        'MB',
    )


def time_of(loss: torch.nn.Module, size: int) -> float:
    """Return the duration of a step after the first, in ms."""
    step = step_of(loss, size)
    step()
    return seconds(step, 3) * 1e3


def time_of_ours(size: int) -> float:
    """Return the duration of a step, in ms."""
    return time_of(losses()[0], size)


def time_of_peer(size: int) -> float:
    """Return the duration of a step of the peer, in ms."""
    return time_of(losses()[1], size)


def memory_of_ours(size: int) -> float:
    """Return the peak memory of one step, in MB."""
    return peak_memory(losses()[0], size)


def memory_of_peer(size: int) -> float:
    """Return the peak memory of one step of the peer, in MB."""
    return peak_memory(losses()[1], size)


def peak_memory(loss: torch.nn.Module, size: int) -> float:
    """Return by how much one step raises the peak memory of this process, in MB."""
    step_of(loss, 64)()  # the first step also loads libraries
    step = step_of(loss, size)
    if DEVICE == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    Path('/proc/self/clear_refs').write_text('5')  # resets the peak
    before = resident('VmRSS')
    step()
    # The kernel counts pages; less than one of them is reported as none.
    return max(resident('VmHWM') - before, resource.getpagesize() / 2**20)


def resident(key: str) -> float:
    """Return the current (VmRSS) or peak (VmHWM) memory of this process, in MB."""
    status = dict(
        line.split(':', 1)
        for line in Path('/proc/self/status').read_text().splitlines()
    )
    return int(status[key].split()[0]) / 2**10


def with_limited_memory(function: Callable, size: int, start: str) -> float | None:
    """Call a function in its own process; return ``None`` if memory is too small.

    If memory was too small for a smaller batch, the function is not called.

    Raises:
        RuntimeError: If the function fails for another reason.
    """
    if size > out_of_memory_at.get(function, size):
        return None
    context = multiprocessing.get_context(start)
    results = context.SimpleQueue()
    process = context.Process(target=_limited, args=(function, size, results))
    process.start()
    process.join()
    if process.exitcode == 1:  # an exception; without memory it may be killed instead
        raise RuntimeError(f'{function.__name__} failed at B={size}: see above')
    if results.empty():
        out_of_memory_at[function] = size
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
TINY_MEMORY = dict(size=256, start=TINY_START)  # a smaller step may need no new memory
CASES = {
    **{
        f'B={size}': Case(small, dict(size=size, repeats=repeats), TINY, goal)
        for size, repeats, goal in (
            *((size, 21, ON_A_GPU) for size in (32, 64, 128, 256)),
            *((384, 9, ON_A_GPU), (512, 9, ON_A_GPU and 5)),
        )
    },
    **{
        f'B={size}, memory kept': Case(
            memory_kept,
            dict(size=size, start='spawn', repeats=5, rounds=3),
            dict(size=64, start=TINY_START, repeats=1, rounds=1),
            goal,
        )
        for size, goal in ((256, 20), (512, 60))
    },
    **{
        f'peak memory B={size}': Case(
            memory, dict(size=size, start='spawn'), TINY_MEMORY
        )
        for size in (512, 4096)
    },
    **{
        f'B={size}': Case(
            large, dict(size=size, start='spawn'), dict(size=64, start=TINY_START)
        )
        for size in LARGE
    },
}

if __name__ == '__main__':
    compare(__doc__, CASES)
