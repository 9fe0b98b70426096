"""The jobs of a grid: train, compare heads, and write results as JSON."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import mmimbal
from mmimbal.evaluation.predictions import load_predictions
from mmimbal.experiments.data_hash import hash_of_fold, index_of_run
from mmimbal.experiments.grid import Grid
from mmimbal.experiments.grid_run import GridRun
from mmimbal.experiments.jobs import Job, Step
from mmimbal.experiments.progress import share_of_training
from mmimbal.experiments.results import images_file, pack, write_images
from mmimbal.experiments.run_settings import (
    DATA,
    RECORDED,
    check_settings,
    record_settings,
)
from mmimbal.files.json_file import read_json, write_json
from mmimbal.files.lock import InUseError, is_locked, is_work_dir_in_use, locked
from mmimbal.stage2.sweep_result import SweepResult, predictions_file

# Settings of the sweep: a change of them needs no new training.
OF_SWEEP = ('stage2', 'views', 'search')


@dataclass(frozen=True)
class GridFolders:
    """The folders of a grid.

    Attributes:
        tools: Folder of the tools.
        work: Folder of the work dirs.
        results: Folder of the results, with a file for each run.
    """

    tools: Path
    work: Path
    results: Path

    def describe(self, grid: Grid) -> None:
        """Write title, notes and experiments of a grid to its results."""
        about = dict(
            title=grid.title,
            notes=grid.notes,
            metric=grid.metric_methods,
            plug_in=grid.plug_in,
            judged_on=grid.judged_on,
            search=any(run.search for run in grid.runs),
            datasets=sorted({run.dataset for run in grid.runs}),
            experiments=[run.name for run in grid.runs],
        )
        write_json(about, self.results / 'grid.json')

    def check(self, grid: Grid) -> None:
        """Raise a ValueError if results were made with other settings.

        They may be of images that are not on this machine.
        """
        for job in self.jobs(grid, grid.runs):
            if job.result.is_file():
                settings = read_json(job.result).get('settings', {})
                check_settings(settings, job.run.settings, job.result)

    def jobs(self, grid: Grid, runs: Sequence[GridRun]) -> list['GridJob']:
        """Return a job for each run."""
        return [GridJob(self, run, grid.judged_on == 'test') for run in runs]


@dataclass(frozen=True, eq=False)
class GridJob(Job):
    """One run of a grid: train, then compare heads of stage 2.

    Attributes:
        folders: Folders of the grid.
        run: The run.
        on_test: Whether test images are read.
    """

    folders: GridFolders
    run: GridRun
    on_test: bool

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.run.name

    @property
    def settings(self) -> dict:
        """Settings of the run, and a hash of its images if they are on this machine."""
        found = hash_of_fold(index_of_run(self.run), self.run.fold)
        return self.run.settings | ({DATA: found} if found else {})

    @property
    def folder(self) -> Path:
        """Folder of its work dirs."""
        return self.folders.work / self.name

    @property
    def log(self) -> Path:
        """File with the output of the tools."""
        return self.folder / 'log.txt'

    @property
    def result(self) -> Path:
        """File with the result."""
        return self.folders.results / 'runs' / f'{self.name}.json'

    def is_done(self) -> bool:
        """Return whether the result exists, with test metrics if they are needed.

        Raises:
            ValueError: If the result was made with other settings or images.
        """
        if not self.result.is_file():
            return False
        result = read_json(self.result)
        check_settings(result.get('settings', {}), self.settings, self.result)
        untested = [row for row in result['rows'] if row['val'] and 'test' not in row]
        return not self.on_test or not untested

    def steps(self, cores: int) -> Iterator[Step]:
        """Train, compare heads, and write the result.

        If another process works on the same run, this waits for it. It also waits for
        a training that is still running after its parent process was killed.

        Raises:
            ValueError: If the folder or the result was made with other settings or
                images.
        """
        trained, train = self.folder / 'trained', self.folder / 'train'
        with ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(locked(self.folder, wait=False))
                    break
                except InUseError:
                    yield None
            if self.is_done():
                return
            record_settings(self.settings, self.folder, OF_SWEEP)
            while is_work_dir_in_use(train):
                yield None
            if not trained.is_file():
                yield self.run.train_command(self.folders.tools, self.folder)
                trained.touch()
            tools = self.folders.tools
            yield self.run.sweep_command(tools, self.folder, self.on_test, cores)
            self.write_result()

    def write_result(self) -> None:
        """Write the result of the run from the result of its sweep."""
        sweep = SweepResult.read(self.folder / 'stage2')
        run, results = self.run, self.folders.results
        images = images_file(results, run.dataset, run.fold)
        rows, images_hash, leak = [], None, None
        # The hash of the images is that of when the training began.
        recorded = read_json(self.folder / RECORDED)
        data = {key: value for key, value in recorded.items() if key == DATA}
        for sweep_row in sweep.rows:
            scores = sweep_row.seeds[0]
            row = dict(
                stage2='' if sweep_row.is_stage1 else sweep_row.method,
                params=sweep_row.params,
                val=scores['val'],
            )
            if self.on_test:
                row['test'] = scores['test']  # None of a head that has diverged
            if scores['test']:
                file = predictions_file(self.folder / 'stage2', sweep_row.method)
                predictions = load_predictions(file)
                leak = predictions.about.get('leak')
                row['predicted'] = pack(predictions.scores.argmax(1))
                images_hash = write_images(predictions, images)
            rows.append(row)
        rows.sort(key=lambda row: row['stage2'])
        result = dict(
            dataset=run.dataset,
            fold=run.fold,
            seed=run.seed,
            settings=run.settings | data,
            method=run.method,
            batch_norm=sweep.batch_norm,
            views=sweep.views,
            device=sweep.device,
            version=mmimbal.__version__,
            left_out=sweep.failed,
            remarks=[f'{run.method} + {note}' for note in sweep.notes]
            + ([f'{run.name}: {leak}'] if leak else []),
            images=images_hash,
            rows=rows,
        )
        write_json(result, self.result)

    def is_taken(self) -> bool:
        """Return whether another call works on the run."""
        return is_locked(self.folder)

    def share_done(self) -> float:
        """Return the progress of the run, 0..1."""
        return 0.95 * share_of_training(self.folder / 'train')
