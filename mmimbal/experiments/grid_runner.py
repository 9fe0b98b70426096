"""Experiments of a grid, side by side: one process on each core or GPU."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue

import torch
from joblib import cpu_count

from mmimbal.evaluation.predictions import SUFFIX, load_predictions
from mmimbal.experiments.failures import ToolFailedError, raise_if_failed
from mmimbal.experiments.grid import Experiment, Grid
from mmimbal.experiments.results import images_file, keep_images, pack
from mmimbal.experiments.run_settings import check_settings, record_settings
from mmimbal.files.json_file import read_json, write_json
from mmimbal.files.lock import locked, wait_for_work_dir
from mmimbal.stage2.sweep import STAGE1


class GridRunner:
    """Runs experiments in processes of their own and keeps what they find as JSON.

    An experiment whose result is there is not run again; a training that was
    interrupted is resumed.

    Args:
        grid: The experiments.
        root: Folder of ``tools/`` and ``configs/``.
        work_dir: Where trainings go.
        results: Where results go, a file for each experiment.
        workers: How many run side by side; one per GPU, else per core, if ``None``.
    """

    def __init__(
        self,
        grid: Grid,
        root: Path,
        work_dir: Path,
        results: Path,
        workers: int | None = None,
    ) -> None:
        self.grid = grid
        self.root = root
        self.work_dir = work_dir
        self.results = results
        environments = worker_environments(workers)
        self.workers = len(environments)
        self.free: SimpleQueue[dict[str, str]] = SimpleQueue()
        for environment in environments:
            self.free.put(environment)
        self.children: set[subprocess.Popen] = set()
        self.stopped = threading.Event()

    def describe(self) -> None:
        """Keep what the grid says of itself beside its results."""
        about = dict(
            title=self.grid.title,
            notes=self.grid.notes,
            metric=self.grid.metric,
            judged_on=self.grid.judged_on,
            experiments=[one.name for one in self.grid.experiments],
        )
        write_json(about, self.results / 'grid.json')

    def file(self, experiment: Experiment) -> Path:
        """Return where the result of an experiment is kept."""
        return self.results / 'runs' / f'{experiment.name}.json'

    def is_done(self, experiment: Experiment) -> bool:
        """Return whether the result of an experiment is there.

        It is not if test images are asked for and were not read.

        Raises:
            ValueError: If it was made with other settings.
        """
        file = self.file(experiment)
        if not file.is_file():
            return False
        result = read_json(file)
        check_settings(result.get('settings', {}), experiment.settings, file)
        untested = [row for row in result['rows'] if row['val'] and not row.get('test')]
        return self.grid.judged_on == 'val' or not untested

    def run(self, experiments: Sequence[Experiment]) -> Iterator[tuple]:
        """Yield each experiment when it is over, and what went wrong, '' if nothing."""
        with ThreadPoolExecutor(self.workers) as pool:
            jobs = {pool.submit(self.run_one, one): one for one in experiments}
            try:
                for job in as_completed(jobs):
                    yield jobs[job], job.result()
            except BaseException:
                self.stop()
                pool.shutdown(cancel_futures=True)
                raise

    def stop(self) -> None:
        """End what is running; it goes on from there the next time."""
        self.stopped.set()
        for child in list(self.children):
            child.terminate()

    def run_one(self, experiment: Experiment) -> str:
        """Train, compare heads, keep the result; return what went wrong."""
        folder = self.work_dir / experiment.name
        folder.mkdir(parents=True, exist_ok=True)
        log, trained = folder / 'log.txt', folder / 'trained'
        environment = self.free.get()
        try:
            with locked(folder):
                record_settings(experiment.settings, folder)
                if not trained.is_file():
                    # A training may have outlived a runner that was killed.
                    wait_for_work_dir(folder / 'train')
                    self.call(experiment.train(self.root, folder), log, environment)
                    trained.touch()
                on_test = self.grid.judged_on == 'test'
                cores = int(environment['OMP_NUM_THREADS'])
                command = experiment.compare(self.root, folder, on_test, cores)
                self.call(command, log, environment)
                self.keep(experiment, folder / 'stage2')
        except ToolFailedError as error:
            return str(error)
        except (OSError, ValueError, KeyError) as error:
            return f'{type(error).__name__}: {error}'
        finally:
            self.free.put(environment)
        return ''

    def call(self, command: list[str], log: Path, environment: dict) -> None:
        """Run a tool to its end.

        Raises:
            ToolFailedError: If it fails.
        """
        with open(log, 'ab') as output:
            start = output.tell()
            child = subprocess.Popen(
                [sys.executable, *command],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | environment,
            )
            self.children.add(child)
            try:
                if self.stopped.is_set():
                    child.terminate()
                code = child.wait()
            finally:
                self.children.discard(child)
        raise_if_failed(code, log, start)

    def keep(self, experiment: Experiment, folder: Path) -> None:
        """Write the result of an experiment from what its sweep has found."""
        sweep = read_json(folder / 'sweep.json')
        images = images_file(self.results, experiment.dataset, experiment.fold)
        rows, images_of_test = [], None
        for found in sweep['rows']:
            scores = found['seeds'][0]
            is_stage1 = found['method'] == STAGE1
            row = dict(
                stage2='' if is_stage1 else found['method'],
                params=found['params'],
                val=scores['val'],
            )
            if scores['test']:
                name = 'stage1' if is_stage1 else f'{found["method"]}_seed0'
                predictions = load_predictions(
                    folder / 'predictions' / f'{name}{SUFFIX}'
                )
                row['test'] = scores['test']
                row['predicted'] = pack(predictions.scores.argmax(1))
                images_of_test = keep_images(predictions, images)
            rows.append(row)
        rows.sort(key=lambda row: row['stage2'])
        result = dict(
            dataset=experiment.dataset,
            fold=experiment.fold,
            seed=experiment.seed,
            settings=experiment.settings,
            method=experiment.method,
            batch_norm=sweep['batch_norm'],
            views=sweep['views'],
            device=sweep['device'],
            left_out=sweep['left_out'],
            images=images_of_test,
            rows=rows,
        )
        write_json(result, self.file(experiment))

    def share_done(self, experiment: Experiment) -> float:
        """Return how far a training is, 0..1."""
        folder = self.work_dir / experiment.name / 'train'
        try:
            epoch = re.search(r'epoch_(\d+)', (folder / 'last_checkpoint').read_text())
            config = next(folder.glob('*.py')).read_text()
            # a method may name the epochs of a stage 2 before its own
            of = re.search(r'^train_cfg = .*?max_epochs=(\d+)', config, re.M | re.S)
            return int(epoch[1]) / int(of[1])
        except (OSError, StopIteration, TypeError):
            return 0.0


def worker_environments(workers: int | None) -> list[dict[str, str]]:
    """Return the environment of each worker: its GPU, its share of the cores."""
    gpus, cores = torch.cuda.device_count(), cpu_count()
    number = workers or gpus or cores
    threads = {'OMP_NUM_THREADS': str(max(1, cores // number))}
    visible = os.environ.get('CUDA_VISIBLE_DEVICES')
    names = visible.split(',') if visible else list(map(str, range(gpus)))
    return [
        threads | ({'CUDA_VISIBLE_DEVICES': names[n % gpus]} if gpus else {})
        for n in range(number)
    ]
