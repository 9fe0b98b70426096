"""Compare a training step whose threads wait briefly with one as torch has it.

Both have the same net, images and number of threads, and differ in one thing: how long
the threads hold their cores while they wait for each other. On a busy machine, our
tools let them do so for less than a millisecond. In other rows, other processes compute
without a pause, one for each core. Alone there are none: these rows say why the waits
are short on a busy machine only.
"""

import os
from contextlib import contextmanager
from multiprocessing import get_context

from _comparison import TINY_START, Case, Side, compare, seconds_of_sides
from stage1_step import PRETRAINED, SMALL, step_of

from mmimbal.command_line.waiting import TURNS

PEER = 'the default of libgomp'


def compute() -> None:
    """Hold a core until the process is ended."""
    while True:
        pass


@contextmanager
def busy_cores(number: int):
    """Run processes that compute, in a block."""
    context = get_context('fork')
    processes = [context.Process(target=compute, daemon=True) for _ in range(number)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()


def beside(
    others: int, start: str, repeats: int = 3, rounds: int = 6, **net
) -> tuple[float, float, str, str]:
    """Measure a step with short waits, and one with those of libgomp."""
    short = dict(GOMP_SPINCOUNT=str(TURNS))
    for name in ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY'):  # of the user's shell
        os.environ.pop(name, None)
    with busy_cores(others):
        sides = [
            Side(step_of, net, environment=environment) for environment in (short, {})
        ]
        times = seconds_of_sides(sides, repeats, rounds, start)
    return *(1e3 * elapsed for elapsed in times), PEER, 'ms'


NETS = {'MobileNetV2, 96 px': PRETRAINED, 'half ResNet-18, 64 px': SMALL}
OTHERS = {'alone': (0, None), 'all cores busy': (os.cpu_count(), 1.3)}
CASES = {
    f'{name}, {what}': Case(
        beside,
        dict(net, others=others, batch_size=32, start='spawn'),
        dict(
            net | dict(size=32),
            others=min(1, others),
            batch_size=8,
            start=TINY_START,
            repeats=1,
            rounds=1,
        ),
        goal,
    )
    for name, net in NETS.items()
    for what, (others, goal) in OTHERS.items()
}

if __name__ == '__main__':
    compare(__doc__, CASES)
