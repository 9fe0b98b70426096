"""Compare plain cross-entropy, metric learning and its control on a data set."""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from joblib import cpu_count

from mmimbal.command_line.experiment import words_of
from mmimbal.command_line.failures import ToolFailedError
from mmimbal.command_line.flag_types import at_least
from mmimbal.command_line.flags import add_executor_flags
from mmimbal.command_line.prepared import data_folder
from mmimbal.command_line.run_tool import run_tool
from mmimbal.experiments.grid import load_grid
from mmimbal.experiments.jobs import failure_report, run_jobs

if TYPE_CHECKING:
    from mmimbal.experiments.own_data import OwnData

TOOLS = Path(__file__).resolve().parent


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('data', help='folder of a prepared data set, e.g. data/own')
    parser.add_argument(
        '--profile',
        choices=words_of('profiles'),
        help='default: 224px with a GPU; on a CPU pretrained, or 64px if the package '
        'with its weights is not installed',
    )
    parser.add_argument(
        '--folds',
        type=at_least(2),
        default=5,
        help='folds that are made if the data set has none, and no split that came '
        'with the images; default: 5',
    )
    parser.add_argument(
        '--quick',
        action='store_true',
        help='a first look: one fold, few epochs, no search',
    )
    parser.add_argument(
        '--work-dir', type=Path, help='default: work_dirs/compare/DATA[_quick]'
    )
    add_executor_flags(parser, 'the number with which all end first')
    return parser.parse_args()


def use(folder: Path) -> None:
    """Let the words of experiments, also in child processes, mean this folder."""
    os.environ['MMIMBAL_DATA'] = str(folder.resolve().parent)


def prepare(args: argparse.Namespace, folder: Path, work_dir: Path) -> 'OwnData':
    """Check the data set, make folds if it has none, and return what to use."""
    from mmimbal.datasets.checking.check_result import read_check_result
    from mmimbal.experiments.own_data import describe_data, with_folds

    given, data = folder, describe_data(folder)
    if data.is_official:
        print('The split that came with the images is kept')
    elif data.folds == [None]:
        folder = with_folds(folder, work_dir / 'data', args.folds)
        data = describe_data(folder)
        print(f'{args.folds} folds, grouped and stratified: {folder / "index.csv"}')
    columns = ['split' if fold is None else f'fold{fold}' for fold in data.folds]
    found = {read_check_result(folder / 'index.csv', column) for column in columns}
    if found != {'checked'}:
        checked = subprocess.run(
            [sys.executable, TOOLS / 'check_dataset.py', folder], check=False
        )
        if checked.returncode:
            if folder != given:  # its folds are those of an index with errors
                shutil.rmtree(folder)
            raise ToolFailedError(
                f'correct the errors above in {given}, and run this again'
            )
    return data


def main() -> None:
    """Check, estimate, train, and write a page with a verdict."""
    args = parse_args()
    # Imported here, so that --help is quick.
    import torch

    from mmimbal.command_line.memory import keep_memory
    from mmimbal.evaluation.bootstrap import RESAMPLES
    from mmimbal.experiments.compare_grid import (
        check_profile,
        choose_profile,
        commands_of_winner,
        write_grid,
    )
    from mmimbal.experiments.compare_page import write_compare_page
    from mmimbal.experiments.compare_time import (
        estimated_seconds,
        readable,
        workers_for,
    )
    from mmimbal.experiments.executors import build_executor
    from mmimbal.experiments.grid_results import read_grid_results
    from mmimbal.experiments.grid_runner import GridFolders
    from mmimbal.experiments.own_data import find_data

    folder = find_data(args.data)
    is_usual = folder.resolve().parent == data_folder('').resolve()
    root = os.environ.get('MMIMBAL_DATA') if is_usual else str(folder.resolve().parent)
    name = folder.resolve().name + ('_quick' if args.quick else '')
    work_dir = args.work_dir or Path('work_dirs/compare', name)
    profile = args.profile or choose_profile()
    use(folder)
    check_profile(folder.resolve().name, profile)
    data = prepare(args, folder, work_dir)
    use(data.folder)
    file = work_dir / 'compare.py'
    write_grid(data, profile, args.quick, work_dir / 'decoded', file)
    grid = load_grid(file)
    folders = GridFolders(TOOLS, work_dir / 'runs', work_dir / 'results' / 'compare')
    jobs = [job for job in folders.jobs(grid, grid.runs) if not job.is_done()]
    folders.describe(grid)
    gpus, cores = torch.cuda.device_count(), cpu_count()
    if args.workers is None and not args.cluster and not gpus:
        args.workers = workers_for(len(jobs), cores)
    executor = build_executor(args, work_dir)
    if jobs:
        print(
            f'Trainings: {len(jobs)}, with the profile {profile}, and all ways of '
            'stage 2 on each'
        )
    if jobs and not args.cluster:
        workers = args.workers or gpus or cores
        keep_memory()  # as the trainings do, whose steps are timed here
        runs, threads = [job.run for job in jobs], max(1, cores // workers)
        seconds = estimated_seconds(runs, data, workers, threads)
        print(f'This takes about {readable(seconds)}')
    failed = run_jobs(jobs, executor, 'Comparison')
    if failed:
        raise ToolFailedError(failure_report(failed, len(grid.runs), 'trainings'))
    results = read_grid_results(folders.results, RESAMPLES)
    best = results.comparisons[data.word].rows[results.chosen[0]]
    commands = commands_of_winner(data, profile, best, root)
    page = work_dir / 'compare.html'
    words, limits = write_compare_page(results, data, commands, args.quick, page)
    print(f'\n{words}\n\nWhat this cannot tell:')
    print(*(f'- {limit}' for limit in limits), sep='\n')
    print('\nTo train the winner:', *commands, sep='\n  ')
    print(f'\nWritten: {page}')


if __name__ == '__main__':
    run_tool(main, goes_on=True)
