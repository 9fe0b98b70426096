"""The result of a sweep: written by the sweep, read by grids."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean

from mmimbal.evaluation.predictions import SUFFIX
from mmimbal.evaluation.table import format_table, mean_and_spread
from mmimbal.files.json_file import read_json, write_json

FILE = 'sweep.json'
STAGE1 = "stage 1's classifier"


@dataclass(frozen=True)
class SweepRow:
    """A method of stage 2, with the metrics of each seed.

    Attributes:
        method: Name of the method; :data:`STAGE1` for the classifier of stage 1.
        params: Hyper-parameters that were chosen on validation, with keys as in
            ``--cfg-options``.
        chosen: ``params`` as short text.
        seeds: A dict for each seed: ``seed``, and metrics ``val`` and ``test`` in %.
            Metrics are ``None`` if training diverged or the split was not read.
    """

    method: str
    params: Mapping[str, object]
    chosen: str
    seeds: Sequence[Mapping]

    @property
    def is_stage1(self) -> bool:
        """Whether this is the classifier of stage 1 and not a head of stage 2."""
        return self.method == STAGE1

    def values(self, split: str, metric: str) -> list[float]:
        """Return the values of a metric, one for each seed that has it."""
        of_seeds = (seed[split] for seed in self.seeds)
        return [
            metrics[metric] for metrics in of_seeds if metrics and metric in metrics
        ]

    def cell(self, split: str, metric: str, digits: int = 1) -> str:
        """Return mean ± standard deviation; the number of seeds if some diverged."""
        values = self.values(split, metric)
        text = mean_and_spread(values, digits)
        if 0 < len(values) < len(self.seeds):
            text += f' ({len(values)} of {len(self.seeds)})'
        return text


@dataclass(frozen=True)
class SweepResult:
    """The result of a sweep.

    Attributes:
        stage1: Checkpoint of stage 1.
        batch_norm: ``'frozen'``: statistics of the backbone in stage 2.
        device: Device that computed the features.
        views: Augmented views of each training image.
        number_of_seeds: Number of seeds of each method.
        metric: Metric for choices on validation.
        seconds: Duration of ``extraction`` and of ``heads``.
        failed: Reason why a method could not be trained, by its name.
        rows: Rows of all methods, the best on validation first.
        searched: Whether hyper-parameters were chosen on validation.
        notes: What to know of single rows.
    """

    stage1: str
    batch_norm: str
    device: str
    views: int
    number_of_seeds: int
    metric: str
    seconds: Mapping[str, float]
    failed: Mapping[str, str]
    rows: Sequence[SweepRow] = field(default_factory=list)
    searched: bool = True
    notes: Sequence[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write the result to the folder of a sweep."""
        write_json(asdict(self), folder / FILE)

    @staticmethod
    def read(folder: Path) -> 'SweepResult':
        """Read the result from the folder of a sweep.

        Raises:
            FileNotFoundError: If there is no result.
            ValueError: If the file is damaged, or was written by an earlier release.
        """
        content = read_json(folder / FILE)
        try:
            rows = [SweepRow(**row) for row in content.pop('rows')]
            return SweepResult(**content, rows=rows)
        except (KeyError, TypeError):
            raise ValueError(
                f'{folder / FILE} was written by another release of mmimbal: run the '
                'sweep again. It does not train finished heads again'
            ) from None

    def table(self, classes: Sequence[str], split: str) -> str:
        """Return a table of the rows.

        Args:
            classes: K class names.
            split: ``'val'`` or ``'test'``: images of recalls and of macro F1.
        """
        columns = {
            'val bal. acc.': ('val', 'balanced_accuracy'),
            f'{split} bal. acc.': (split, 'balanced_accuracy'),
            f'{split} macro F1': (split, 'macro_f1'),
        }
        lines = [
            [
                row.method,
                row.chosen,
                *(row.cell(*column) for column in columns.values()),
                *(row.cell(split, f'recall/{name}', 0) for name in classes),
            ]
            for row in self.rows
        ]
        return format_table(('method, %', 'chosen', *columns, *classes), lines)


def report_text(
    result: SweepResult, classes: Sequence[str], split: str, was_held_back: bool
) -> str:
    """Return the report of a sweep: its settings, a table, failed methods, and notes.

    Args:
        result: Result of the sweep.
        classes: K class names.
        split: ``'val'`` or ``'test'``; see :meth:`SweepResult.table`.
        was_held_back: Whether the images of this split were not used for choices.
    """
    chosen = (
        f'chosen by {result.metric} on validation, with the first seed'
        if result.searched
        else 'those of the configs'
    )
    values = (
        f'mean ± standard deviation of {result.number_of_seeds} seeds'
        if result.number_of_seeds > 1
        else 'of one seed'
    )
    text = (
        f'Stage 1: {result.stage1}. Batch norm {result.batch_norm}, {result.views} '
        f'views, heads after the last epoch.\nHyper-parameters are {chosen}. Values '
        f'are {values}. Columns of classes are recalls on {split}.\n\n'
        f'{result.table(classes, split)}\n'
    )
    for name, reason in result.failed.items():
        text += f'\nNot trained: {name}. {reason}\n'
    text += ''.join(f'\n{note}\n' for note in result.notes)
    if not was_held_back:
        text += (
            '\nTest and validation images are the same: hyper-parameters were chosen '
            'on the images of the test columns.\n'
        )
    return text


def predictions_file(folder: Path, method: str, seed: int = 0) -> Path:
    """Return the file with the predictions of a head for the test images.

    Args:
        folder: Folder of the sweep.
        method: Method of the row.
        seed: Seed of the head.
    """
    name = 'stage1' if method == STAGE1 else f'{method}_seed{seed}'
    return folder / 'predictions' / f'{name}{SUFFIX}'


def best_first(rows: Sequence[SweepRow], metric: str) -> list[SweepRow]:
    """Sort rows, the best on validation first."""
    return sorted(rows, key=lambda row: -mean(row.values('val', metric) or [-1]))
