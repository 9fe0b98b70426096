"""Cross-entropy beside two stages, on long-tailed digits, in a table and a picture."""

import argparse
import contextlib
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from queue import Empty, Queue

import numpy as np
import torch
from joblib import cpu_count
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from tqdm import tqdm

from mmimbal.datasets import DigitsLT, get_class_counts
from mmimbal.evaluation.table import format_table, mean_and_spread
from mmimbal.files.atomic import atomic_write, check_is_no_file
from mmimbal.files.json_file import write_json
from mmimbal.stage2.stage1 import find_checkpoint
from mmimbal.visualization import draw_recall_by_count

CONFIGS = Path(__file__).resolve().parents[1] / 'configs' / 'digits_lt'
# Of each run: its config, and the run whose backbone it takes.
RUNS = {
    'ce': ('stage1_ce', None),
    'triplet': ('stage1_triplet', None),
    'ce_crt': ('stage2_crt', 'ce'),
    'triplet_crt': ('stage2_crt', 'triplet'),
}
METHODS = {
    'cross-entropy': 'ce',
    'cross-entropy + cRT': 'ce_crt',
    'triplet + cRT': 'triplet_crt',
}
SCORES = ('balanced_accuracy', 'macro_f1', 'tail_recall')


class ProgressHook(Hook):
    """Report each epoch to the process that draws the progress bar."""

    def __init__(self, epochs: Queue) -> None:
        self.epochs = epochs

    def after_train_epoch(self, runner: Runner) -> None:
        """Count an epoch."""
        self.epochs.put(1)


def load_run(run: str, folder: Path, seed: int) -> Config:
    """Return the config of a run of one seed."""
    name, stage1 = RUNS[run]
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    cfg.work_dir = str(folder / f'seed{seed}' / run)
    cfg.randomness = dict(seed=seed)
    if stage1:
        cfg.default_hooks.two_stage.stage1 = str(folder / f'seed{seed}' / stage1)
    return cfg


def run_seed(seed: int, folder: Path, epochs: Queue) -> list[dict]:
    """Train all runs of a seed and test every method once; return its metrics."""
    torch.set_num_threads(1)
    with open(os.devnull, 'w') as silence, contextlib.redirect_stdout(silence):
        for run in RUNS:
            runner = Runner.from_cfg(load_run(run, folder, seed))
            runner.register_hook(ProgressHook(epochs))
            runner.train()
        results = []
        for method, run in METHODS.items():
            cfg = load_run(run, folder, seed)
            cfg.load_from = str(find_checkpoint(cfg.work_dir))
            metrics = Runner.from_cfg(cfg).test()
            results.append(dict(method=method, seed=seed, **metrics))
    return results


def run_seeds(seeds: int, folder: Path) -> list[dict]:
    """Run all seeds, one process per core, under a progress bar of epochs."""
    total = seeds * sum(load_run(run, folder, 0).train_cfg.max_epochs for run in RUNS)
    context = get_context('spawn')
    with (
        context.Manager() as manager,
        ProcessPoolExecutor(cpu_count(), context) as pool,
        tqdm(total=total, desc='training', unit='epoch') as bar,
    ):
        epochs = manager.Queue()
        jobs = [pool.submit(run_seed, seed, folder, epochs) for seed in range(seeds)]
        while not all(job.done() for job in jobs):
            with contextlib.suppress(Empty):
                bar.update(epochs.get(timeout=0.2))
        bar.update(total - bar.n)
        return [result for job in jobs for result in job.result()]


def summarise(results: list[dict]) -> str:
    """Return the table: mean and standard deviation of each score over seeds."""
    rows = []
    for method in METHODS:
        cells = [method]
        for score in SCORES:
            values = [row[score] for row in results if row['method'] == method]
            cells.append(mean_and_spread(values))
        rows.append(cells)
    return format_table(
        ('test, %', 'balanced accuracy', 'macro F1', 'tail recall'), rows
    )


def main() -> None:
    """Run the demo, write the summary, print the table, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/demo'))
    args = parser.parse_args()
    check_is_no_file(args.work_dir)
    results = run_seeds(args.seeds, args.work_dir)

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
    main()
