"""The jobs of a grid: trainings with their heads, and results kept as JSON."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from mmimbal.evaluation.predictions import load_predictions
from mmimbal.experiments.grid import Grid, GridRun
from mmimbal.experiments.jobs import Job, Step
from mmimbal.experiments.progress import share_of_training
from mmimbal.experiments.results import images_file, keep_images, pack
from mmimbal.experiments.run_settings import check_settings, record_settings
from mmimbal.files.json_file import read_json, write_json
from mmimbal.files.lock import InUseError, is_work_dir_in_use, locked
from mmimbal.stage2.sweep_result import SweepResult, predictions_file


@dataclass(frozen=True)
class GridFolders:
    """Where the runs of a grid work, and where their results are.

    Attributes:
        tools: Folder of our tools.
        work: Of trainings.
        results: Of results, a file for each run.
    """

    tools: Path
    work: Path
    results: Path

    def describe(self, grid: Grid) -> None:
        """Keep what a grid says of itself beside its results."""
        about = dict(
            title=grid.title,
            notes=grid.notes,
            metric=grid.metric,
            judged_on=grid.judged_on,
            experiments=[run.name for run in grid.runs],
        )
        write_json(about, self.results / 'grid.json')

    def jobs(self, grid: Grid, runs: Sequence[GridRun]) -> list['GridJob']:
        """Return the jobs of some runs."""
        return [GridJob(self, run, grid.judged_on == 'test') for run in runs]


@dataclass(frozen=True, eq=False)
class GridJob(Job):
    """One training, and its heads compared.

    Attributes:
        folders: Of its grid.
        run: What is trained.
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
    def folder(self) -> Path:
        """Where it works."""
        return self.folders.work / self.name

    @property
    def log(self) -> Path:
        """What the tools print."""
        return self.folder / 'log.txt'

    @property
    def result(self) -> Path:
        """Where the result is kept."""
        return self.folders.results / 'runs' / f'{self.name}.json'

    def is_done(self) -> bool:
        """Return whether the result is there, with test images if they are wanted.

        Raises:
            ValueError: If it was made with other settings.
        """
        if not self.result.is_file():
            return False
        result = read_json(self.result)
        check_settings(result.get('settings', {}), self.run.settings, self.result)
        untested = [row for row in result['rows'] if row['val'] and not row.get('test')]
        return not self.on_test or not untested

    def steps(self, cores: int) -> Iterator[Step]:
        """Train, compare heads, keep the result.

        Another process at work on the same run, or a training that has outlived a
        runner that was killed, is waited for.

        Raises:
            ValueError: If something there was made with other settings.
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
            record_settings(self.run.settings, self.folder)
            while is_work_dir_in_use(train):
                yield None
            if not trained.is_file():
                yield self.run.train(self.folders.tools, self.folder)
                trained.touch()
            tools = self.folders.tools
            yield self.run.compare(tools, self.folder, self.on_test, cores)
            self.keep_result()

    def keep_result(self) -> None:
        """Write the result from what the sweep has written."""
        sweep = SweepResult.read(self.folder / 'stage2')
        run, results = self.run, self.folders.results
        images = images_file(results, run.dataset, run.fold)
        rows, images_of_test = [], None
        for found in sweep.rows:
            scores = found.seeds[0]
            row = dict(
                stage2='' if found.is_stage1 else found.method,
                params=found.params,
                val=scores['val'],
            )
            if scores['test']:
                file = predictions_file(self.folder / 'stage2', found.method)
                predictions = load_predictions(file)
                row['test'] = scores['test']
                row['predicted'] = pack(predictions.scores.argmax(1))
                images_of_test = keep_images(predictions, images)
            rows.append(row)
        rows.sort(key=lambda row: row['stage2'])
        result = dict(
            dataset=run.dataset,
            fold=run.fold,
            seed=run.seed,
            settings=run.settings,
            method=run.method,
            batch_norm=sweep.batch_norm,
            views=sweep.views,
            device=sweep.device,
            left_out=sweep.failed,
            images=images_of_test,
            rows=rows,
        )
        write_json(result, self.result)

    def share_done(self) -> float:
        """Return how far the training is, 0..1."""
        return 0.95 * share_of_training(self.folder / 'train')
