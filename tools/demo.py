"""Compare cross-entropy with two stages on long-tailed digits: a table, a figure."""

import argparse
from pathlib import Path

from mmimbal.command_line.failures import ToolFailedError
from mmimbal.command_line.flag_types import at_least
from mmimbal.command_line.run_tool import run_tool
from mmimbal.experiments.jobs import failure_report, run_jobs
from mmimbal.files.atomic import atomic_write, check_is_no_file
from mmimbal.files.json_file import write_json

SCORES = ('balanced_accuracy', 'macro_f1', 'tail_recall')


def summarise(results: list[dict]) -> str:
    """Return a table with mean and standard deviation of each score over seeds."""
    from mmimbal.evaluation.table import format_table, mean_and_spread
    from mmimbal.experiments.demo import METHODS

    rows = []
    for method in METHODS:
        runs = [row for row in results if row['method'] == method]
        cells = [mean_and_spread([row[score] for row in runs]) for score in SCORES]
        rows.append([method, *cells])
    return format_table(
        ('test, %', 'balanced accuracy', 'macro F1', 'tail recall'), rows
    )


def main() -> None:
    """Run the demo, write the summary, print the table, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--seeds', type=at_least(1), default=3, help='trainings of each row; default: 3'
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs/demo'),
        help='default: work_dirs/demo',
    )
    args = parser.parse_args()
    # Imported here, so that --help is quick.
    import numpy as np

    from mmimbal.datasets import DigitsLT, get_class_counts
    from mmimbal.experiments.demo import METHODS, SeedJob
    from mmimbal.experiments.local_executor import LocalExecutor
    from mmimbal.visualization import draw_recall_by_count

    check_is_no_file(args.work_dir)
    jobs = [SeedJob(seed, args.work_dir) for seed in range(args.seeds)]
    failed = run_jobs(jobs, LocalExecutor(), 'Seeds')
    if failed:
        raise ToolFailedError(failure_report(failed, len(jobs), 'seeds'))
    results = [row for job in jobs for row in job.read()]
    keys = ('method', 'seed', *SCORES)
    summary = {'rows': [{key: row[key] for key in keys} for row in results]}
    write_json(summary, args.work_dir / 'summary.json')

    classes = DigitsLT.METAINFO['classes']
    recalls = {
        method: np.array(
            [
                [row[f'recall/{name}'] for name in classes]
                for row in results
                if row['method'] == method
            ]
        )
        for method in METHODS
    }
    picture = args.work_dir / 'recall_by_count.png'
    counts = get_class_counts(DigitsLT('train'))
    figure = draw_recall_by_count(recalls, counts, classes)
    with atomic_write(picture) as unfinished:
        figure.savefig(unfinished, format='png', dpi=130)
    print(
        f'\nDigits-LT, {args.seeds} seeds, batch norm frozen in stage 2\n'
        f'{summarise(results)}\n\n{picture}'
    )


if __name__ == '__main__':
    run_tool(main, goes_on=True)
