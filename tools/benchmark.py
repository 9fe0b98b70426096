"""Run a grid of experiments side by side; write a page of tables from the results."""

import argparse
import threading
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from tqdm import tqdm

from mmimbal.command_line.quiet import without_upstream_noise
from mmimbal.command_line.sigterm import exit_on_sigterm
from mmimbal.experiments.grid import Experiment, load_grid
from mmimbal.experiments.grid_runner import GridRunner
from mmimbal.experiments.page import write_page
from mmimbal.files.atomic import check_is_no_file, check_is_no_folder

ROOT = Path(__file__).resolve().parents[1]
POLL = 2.0  # seconds between two looks at how far trainings are


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('grid', type=Path, help='e.g. configs/grids/study.py')
    parser.add_argument(
        '--work-dir', type=Path, help='of trainings; default: work_dirs/GRID'
    )
    parser.add_argument(
        '--results', type=Path, default=Path('results'), help='default: results/'
    )
    parser.add_argument(
        '--page',
        type=Path,
        default=Path('docs/results.md'),
        help='written from all of --results; default: docs/results.md',
    )
    parser.add_argument(
        '--workers',
        type=int,
        help='side by side; default: one per GPU, else per core. Small nets leave GPUs '
        'idle: several share one well where nvidia-cuda-mps-control runs',
    )
    parser.add_argument(
        '--only',
        default='*',
        metavar='PATTERN',
        help="experiments by name, e.g. 'isic2018_*', to share a grid among machines",
    )
    parser.add_argument(
        '--page-only', action='store_true', help='run nothing, write the page'
    )
    return parser.parse_args()


def run_all(bench: GridRunner, experiments: Sequence[Experiment]) -> dict[str, str]:
    """Run experiments under a progress bar; return what went wrong, by name."""
    failed, over, done = {}, set(), threading.Event()

    def share_done() -> float:
        running = [one for one in experiments if one.name not in over]
        return len(over) + sum(0.95 * bench.share_done(one) for one in running)

    with tqdm(
        total=len(experiments),
        initial=share_done(),  # of an earlier call, which took no time of this one
        desc='Experiments',
        bar_format='{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total} '
        '[{elapsed}<{remaining}]{postfix}',
    ) as bar:

        def watch() -> None:
            while not done.wait(POLL):
                bar.n = share_done()
                bar.refresh()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            for experiment, problem in bench.run(experiments):
                over.add(experiment.name)
                if problem:
                    failed[experiment.name] = problem
                    bar.write(f'{experiment.name} failed: {problem}')
        finally:
            done.set()
            watcher.join()
            bar.n = len(over)
    return failed


def main() -> None:
    """Run what has no result yet, write the page, and fail if an experiment did."""
    args = parse_args()
    check_is_no_folder(args.page)
    for folder in (args.results, args.work_dir or Path('work_dirs')):
        check_is_no_file(folder)
    grid = load_grid(args.grid, ROOT)
    wanted = [one for one in grid.experiments if fnmatch(one.name, args.only)]
    if not wanted:
        raise ValueError(
            f'--only {args.only}: there is no such experiment; the first is '
            f'{grid.experiments[0].name}'
        )
    bench = GridRunner(
        grid,
        ROOT,
        args.work_dir or Path('work_dirs', args.grid.stem),
        args.results / args.grid.stem,
        args.workers,
    )
    done = {one.name for one in grid.experiments if bench.is_done(one)}
    bench.describe()
    failed = {}
    if not args.page_only:
        missing = [one for one in wanted if one.name not in done]
        kept = len(wanted) - len(missing)
        if kept:
            print(f'{kept} of {len(wanted)} results are there already')
        with exit_on_sigterm('the same command goes on from here'):
            failed = run_all(bench, missing)
    write_page(args.results, args.page)
    print(f'Written: {args.page}, from {args.results}')
    if failed:
        names = '\n'.join(f'  {name}: {problem}' for name, problem in failed.items())
        raise SystemExit(
            f'{len(failed)} of {len(wanted)} experiments failed; the same '
            f'command tries them again:\n{names}'
        )


if __name__ == '__main__':
    try:
        with without_upstream_noise():
            main()
    except KeyboardInterrupt:
        raise SystemExit('\nStopped. The same command goes on from here.') from None
    except (OSError, ValueError) as error:
        raise SystemExit(f'benchmark: {error}') from None
