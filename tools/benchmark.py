"""Run a grid of experiments, and write a page of tables from the results."""

import argparse
from fnmatch import fnmatch
from pathlib import Path

from mmimbal.command_line.flags import add_executor_flags
from mmimbal.command_line.run_tool import run_tool
from mmimbal.experiments.grid import load_grid
from mmimbal.experiments.jobs import failure_report, run_jobs
from mmimbal.files.atomic import check_can_be_file, check_is_no_file

INDEX = Path('docs/results.md')
RESULTS = Path('results')
TOOLS = Path(__file__).resolve().parent


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('grid', type=Path, help='e.g. configs/grids/study.py')
    parser.add_argument(
        '--work-dir', type=Path, help='folder of the runs; default: work_dirs/GRID'
    )
    parser.add_argument(
        '--results',
        type=Path,
        default=RESULTS,
        help='folder of the results of all grids; default: results/',
    )
    parser.add_argument(
        '--page',
        type=Path,
        help='page to write; default: docs/results/GRID.md, and docs/results.md, which '
        'lists the pages of all grids',
    )
    parser.add_argument(
        '--only',
        default='*',
        metavar='PATTERN',
        help='run only experiments with matching names, e.g. isic2018_*, to use '
        'several machines',
    )
    parser.add_argument(
        '--page-only', action='store_true', help='write the page, but run nothing'
    )
    parser.add_argument(
        '--per-image',
        type=Path,
        metavar='FOLDER',
        help='also write a CSV file for each data set of this grid: label, group and '
        'all predictions for each test image',
    )
    add_executor_flags(parser)
    return parser.parse_args()


def main() -> None:
    """Run experiments without a result, write the page, and fail if one failed."""
    args = parse_args()
    # Imported here, so that --help is quick.
    from mmimbal.experiments.executors import build_executor
    from mmimbal.experiments.grid_results import read_grid_results
    from mmimbal.experiments.grid_runner import GridFolders
    from mmimbal.experiments.page import check_is_page, write_index, write_page
    from mmimbal.experiments.per_image import write_per_image

    work_dir = args.work_dir or Path('work_dirs', args.grid.stem)
    is_usual = args.results.resolve() == RESULTS.resolve()
    if not (args.page or is_usual):
        raise ValueError('--results of another folder needs a --page of its own')
    page = args.page or INDEX.with_suffix('') / f'{args.grid.stem}.md'
    check_can_be_file(page, args.grid)
    for each in (page,) if args.page else (page, INDEX):
        check_is_page(each)
    if args.page_only and args.only != '*':
        raise ValueError('--only is for running: a page has all results of its grid')
    for folder in filter(None, (args.results, work_dir, args.per_image)):
        check_is_no_file(folder)
    grid = load_grid(args.grid)
    wanted = [run for run in grid.runs if fnmatch(run.name, args.only)]
    if not wanted:
        raise ValueError(
            f'--only {args.only} matches no experiment; the first name is '
            f'{grid.runs[0].name}'
        )
    folders = GridFolders(TOOLS, work_dir, args.results / args.grid.stem)
    folders.check(grid)
    jobs = [] if args.page_only else folders.jobs(grid, grid.runs)
    done = {job.name for job in jobs if job.is_done()}
    folders.describe(grid)
    failed = {}
    if jobs:
        missing = [run for run in wanted if run.name not in done]
        if len(missing) < len(wanted):
            number = len(wanted) - len(missing)
            print(f'{number} of {len(wanted)} results exist already')
        executor = build_executor(args, work_dir)
        failed = run_jobs(folders.jobs(grid, missing), executor, 'Experiments')
    given = {
        '--results': args.results != RESULTS and args.results,
        '--page': args.page,
    }
    flags = ''.join(f' {flag} {path}' for flag, path in given.items() if path)
    here = args.grid.resolve()
    is_inside = here.is_relative_to(Path.cwd())
    command = here.relative_to(Path.cwd()).as_posix() if is_inside else here.name
    write_page(folders.results, page, command=command + flags)
    if not args.page and is_usual:
        write_index(args.results, INDEX)
    print(f'Written: {page}, from the results in {folders.results}')
    if args.per_image:
        found = read_grid_results(folders.results, resamples=1)
        comparisons = found.comparisons
        for file in write_per_image(comparisons, args.per_image):
            print(f'Written: {file}')
        missing = {n for each in comparisons.values() for n in each.not_compared}
        missing.update(found.unfinished)
        if missing:
            print(f'Not in them, for lack of runs: {"; ".join(sorted(missing))}')
        if not comparisons:
            print('No predictions for test images, so no file for each image')
    if failed:
        raise SystemExit(failure_report(failed, len(wanted), 'experiments'))


if __name__ == '__main__':
    run_tool(main, goes_on=True)
