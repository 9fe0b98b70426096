"""What a sweep has found: written by the sweep, read by grids and reports."""

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
        method: Its name; :data:`STAGE1` for the classifier that stage 1 has trained.
        params: Hyper-parameters that validation chose, by keys as in
            ``--cfg-options``.
        chosen: These in short.
        seeds: Of each seed ``seed``, and metrics ``val`` and ``test`` in %, ``None`` if
            it diverged, or the split was not read.
    """

    method: str
    params: Mapping[str, object]
    chosen: str
    seeds: Sequence[Mapping]

    @property
    def is_stage1(self) -> bool:
        """Whether this is the classifier of stage 1, no head of stage 2."""
        return self.method == STAGE1

    def values(self, split: str, metric: str) -> list[float]:
        """Return a metric of each seed that has it."""
        of_seeds = (seed[split] for seed in self.seeds)
        return [
            metrics[metric] for metrics in of_seeds if metrics and metric in metrics
        ]

    def cell(self, split: str, metric: str, digits: int = 1) -> str:
        """Return mean ± standard deviation, and of how many seeds if some diverged."""
        values = self.values(split, metric)
        text = mean_and_spread(values, digits)
        if 0 < len(values) < len(self.seeds):
            text += f' ({len(values)} of {len(self.seeds)})'
        return text


@dataclass(frozen=True)
class SweepResult:
    """What a sweep has found.

    Attributes:
        stage1: Checkpoint of stage 1.
        batch_norm: ``'frozen'``: statistics of the backbone in stage 2.
        device: That extracted features.
        views: Augmented views of each training image.
        number_of_seeds: That were asked for.
        metric: That chose on validation.
        seconds: Of ``extraction`` and ``heads``.
        failed: Why methods could not be trained, by name.
        rows: Best on validation first.
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

    def write(self, folder: Path) -> None:
        """Write the file of a sweep's folder."""
        write_json(asdict(self), folder / FILE)

    @staticmethod
    def read(folder: Path) -> 'SweepResult':
        """Read the file of a sweep's folder.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If it is broken, or of an earlier release.
        """
        content = read_json(folder / FILE)
        try:
            rows = [SweepRow(**row) for row in content.pop('rows')]
            return SweepResult(**content, rows=rows)
        except (KeyError, TypeError):
            raise ValueError(
                f'{folder / FILE} is of another release: run the sweep again; heads '
                'that are there are not trained again'
            ) from None

    def table(self, classes: Sequence[str], split: str) -> str:
        """Return a table of the rows.

        Args:
            classes: K names.
            split: ``'val'`` or ``'test'``, of the recalls.
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
    """Return what a person reads of a sweep: how it was made, a table, what failed.

    Args:
        result: Of the sweep.
        classes: K names.
        split: ``'val'`` or ``'test'``, of the recalls.
        was_held_back: Whether rows were chosen without the images of that split.
    """
    text = (
        f'Stage 1: {result.stage1}. Batch norm {result.batch_norm}, {result.views} '
        f'views, heads of the last epoch.\nChosen by {result.metric} on validation, '
        f'first seed; mean ± standard deviation of {result.number_of_seeds} seeds; '
        f'recall of each class on {split}.\n\n{result.table(classes, split)}\n'
    )
    for name, reason in result.failed.items():
        text += f'\nNot trained: {name}. {reason}\n'
    if not was_held_back:
        text += (
            '\nTest and validation are the same images: the rows were chosen on the '
            'images that they are judged on.\n'
        )
    return text


def predictions_file(folder: Path, method: str, seed: int = 0) -> Path:
    """Return where the predictions of a row for test images are.

    Args:
        folder: Of the sweep.
        method: Name of the row.
        seed: Of the head.
    """
    name = 'stage1' if method == STAGE1 else f'{method}_seed{seed}'
    return folder / 'predictions' / f'{name}{SUFFIX}'


def best_first(rows: Sequence[SweepRow], metric: str) -> list[SweepRow]:
    """Return rows, the best on validation first."""
    return sorted(rows, key=lambda row: -mean(row.values('val', metric) or [-1]))
