"""A page of tables, from the results of experiments and from nothing else."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from mmimbal.evaluation.bootstrap import RESAMPLES, draw_weights, interval
from mmimbal.evaluation.confusion import balanced_accuracy, count_confusions, macro_f1
from mmimbal.evaluation.results import Images, read_images, unpack
from mmimbal.whole_files import whole

JUDGED_BY = dict(balanced_accuracy=balanced_accuracy, macro_f1=macro_f1)
TITLES = dict(
    balanced_accuracy='balanced accuracy',
    macro_f1='macro F1',
    worst_recall='worst class',
    auroc='AUROC',
    ece='ECE',
)


@dataclass
class Row:
    """A method of stage 1 and one of stage 2, with all its runs on a data set.

    Attributes:
        method: Of stage 1, or a one-stage one.
        stage2: '' for the classifier that was trained with the backbone.
        metric: Whether it learns a metric.
        batch_norm: What became of its statistics in stage 2.
        runs: By fold and seed what was found: ``val``, ``test``, ``predicted``.
    """

    method: str
    stage2: str
    metric: bool
    batch_norm: str
    runs: dict[tuple, dict] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return f'{self.method} + {self.stage2}' if self.stage2 else self.method

    def values(self, split: str, metric: str) -> list[float]:
        """Return a metric of each run that has it."""
        found = (run.get(split) or {} for run in self.runs.values())
        return [scores[metric] for scores in found if metric in scores]


def write_page(results: Path, page: Path) -> None:
    """Write a page of the results of all grids in a folder.

    Raises:
        FileNotFoundError: If there is no result.
    """
    grids = sorted(results.glob('*/grid.json'))
    if not grids:
        raise FileNotFoundError(f'no results in {results}')
    text = [
        '# Results',
        '',
        'Written by `tools/benchmark.py --page-only` from the JSON files in '
        f'`{results.name}/`, and by nothing else.',
    ]
    for grid in grids:
        text += ['', *section(grid.parent)]
    page.parent.mkdir(parents=True, exist_ok=True)
    with whole(page) as unfinished:
        unfinished.write_text('\n'.join(text) + '\n', encoding='utf-8')


def section(folder: Path) -> Iterator[str]:
    """Yield the lines about one grid."""
    about = json.loads((folder / 'grid.json').read_text())
    split = about['judged_on']
    yield f'## {about["title"]}'
    yield ''
    yield (
        f'`tools/benchmark.py configs/grids/{folder.name}.py`. All in %, mean ± '
        'standard deviation over runs (folds and seeds). Batch norm in stage 2 is '
        f'frozen. {"Validation" if split == "val" else "Test"} images; '
        'hyper-parameters of stage 2 are chosen on validation. Rows with metric '
        'learning are marked \\*.'
    )
    results = read_runs(folder)
    devices = Counter(result['device'] for result in results)
    runs = (f'{number} on {name}' for name, number in sorted(devices.items()))
    yield ''
    yield f'Runs: {", ".join(runs)}.'
    tables = read_rows(results, about['metric'])
    for dataset, rows in tables.items():
        yield from ('', f'### {dataset}', '')
        yield from table_of(rows, split)
        if split == 'test':
            yield from compared(rows, folder, dataset)
    if len(tables) > 1 or split == 'test':
        yield from ranks(tables, split)


def read_runs(folder: Path) -> list[dict]:
    """Return the results of all experiments of a grid."""
    files = sorted((folder / 'runs').glob('*.json'))
    return [json.loads(file.read_text()) for file in files]


def read_rows(
    results: Sequence[Mapping], metric: Sequence[str]
) -> dict[str, list[Row]]:
    """Return the rows of each data set."""
    tables: dict[str, dict[tuple, Row]] = {}
    for result in results:
        rows = tables.setdefault(result['dataset'], {})
        for found in result['rows']:
            key = result['method'], found['stage2']
            row = rows.setdefault(
                key, Row(*key, result['method'] in metric, result['batch_norm'])
            )
            row.runs[result['fold'], result['seed']] = found
    return {dataset: list(rows.values()) for dataset, rows in sorted(tables.items())}


def table_of(rows: Sequence[Row], split: str) -> Iterator[str]:
    """Yield a table of all rows, the best first."""
    most = max(len(row.runs) for row in rows)
    order = sorted(rows, key=lambda row: -_mean(row, split, 'balanced_accuracy'))
    splits = ['val'] if split == 'val' else ['val', 'test']
    columns = [
        (each, metric)
        for each in splits
        for metric in (TITLES if each == split else ('balanced_accuracy',))
    ]
    header = ['method']
    header += [f'{name} ({each})' for each, m in columns for name in [TITLES[m]]]
    yield from markdown(
        [*header, 'runs'],
        [
            [
                row.name + (' \\*' if row.metric else ''),
                *(_cell(row.values(*column)) for column in columns),
                f'{len(row.runs)}' + (f' of {most}' if len(row.runs) < most else ''),
            ]
            for row in order
        ],
    )


def compared(rows: Sequence[Row], folder: Path, dataset: str) -> Iterator[str]:
    """Yield a table of paired differences to the best row without metric learning."""
    most = max(len(row.runs) for row in rows)
    whole_rows = [row for row in rows if _predicted(row) == most]
    plain = [row for row in whole_rows if not row.metric]
    if not plain or len(whole_rows) == 1:
        return
    best = max(plain, key=lambda row: _mean(row, 'test', 'balanced_accuracy'))
    folds = {
        fold: read_images(
            folder
            / 'images'
            / f'{dataset if fold is None else f"{dataset}_fold{fold}"}.json'
        )
        for fold in sorted({fold for fold, _ in best.runs}, key=str)
    }
    found = {row.name: resampled(row, folds) for row in whole_rows}
    yield ''
    yield (
        f'Predictions of all folds pooled; 95% intervals from {RESAMPLES} resamples of '
        'groups (lesions, patients, smears), paired. Best row without metric learning: '
        f'**{best.name}**.'
    )
    yield ''
    cells = []
    for row in sorted(
        whole_rows, key=lambda row: -found[row.name]['balanced_accuracy'][0]
    ):
        line = [row.name + (' \\*' if row.metric else '')]
        for metric in JUDGED_BY:
            values = found[row.name][metric]
            line.append(f'{values[0]:.1f} {_bounds(values[1:])}')
            differences = values - found[best.name][metric]
            line.append(
                '-'
                if row is best
                else f'{differences[0]:+.1f} {_bounds(differences[1:])}'
            )
        cells.append(line)
    header = ['method']
    for metric in JUDGED_BY:
        header += [TITLES[metric], 'difference']
    yield from markdown(header, cells)


def resampled(row: Row, folds: dict[int | None, Images]) -> dict[str, np.ndarray]:
    """Return metrics of pooled predictions in %, the measured one and R resampled.

    Of several seeds, the mean.
    """
    labels = np.concatenate([images.labels for images in folds.values()])
    groups = np.concatenate(
        [
            np.char.add(f'{fold} ', images.groups.astype(str))
            for fold, images in folds.items()
        ]
    )
    classes = len(next(iter(folds.values())).classes)
    seeds = sorted({seed for _, seed in row.runs})
    predictions = [
        np.concatenate([unpack(row.runs[fold, seed]['predicted']) for fold in folds])
        for seed in seeds
    ]
    found: dict[str, list[np.ndarray]] = {metric: [] for metric in JUDGED_BY}
    everything = np.ones((1, len(labels)))
    for weights in (everything, *draw_weights(groups, RESAMPLES, seed=0)):
        confusions = [
            count_confusions(labels, predicted, classes, weights)
            for predicted in predictions
        ]
        for name, metric in JUDGED_BY.items():
            values = [100 * metric(confusion) for confusion in confusions]
            found[name].append(np.mean(values, axis=0))
    return {name: np.concatenate(values) for name, values in found.items()}


def ranks(tables: dict[str, list[Row]], split: str) -> Iterator[str]:
    """Yield a table of means over all data sets, folds and seeds, by mean rank."""
    scores: dict[str, dict[tuple, dict[str, float]]] = {}
    for dataset, rows in tables.items():
        for row in rows:
            for run, found in row.runs.items():
                if 'balanced_accuracy' in (found.get(split) or {}):
                    scores.setdefault(row.name, {})[dataset, *run] = found[split]
    runs = {run for found in scores.values() for run in found}
    full = {name: found for name, found in scores.items() if len(found) == len(runs)}
    if len(full) < 2:
        return
    places: dict[str, list[float]] = {name: [] for name in full}
    for run in runs:
        values = np.array([found[run]['balanced_accuracy'] for found in full.values()])
        for name, value in zip(full, values, strict=True):
            above, equal = (values > value).sum(), (values == value).sum()
            places[name].append(above + (equal + 1) / 2)
    yield from ('', '### Mean rank', '')
    yield (f'By balanced accuracy, of {len(full)} rows; means over {len(runs)} runs.')
    yield ''
    yield from markdown(
        ['method', 'mean rank', *(TITLES[metric] for metric in JUDGED_BY)],
        [
            [
                name,
                f'{mean(found):.1f}',
                *(
                    f'{mean(run[metric] for run in full[name].values()):.1f}'
                    for metric in JUDGED_BY
                ),
            ]
            for name, found in sorted(places.items(), key=lambda item: mean(item[1]))
        ],
    )


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a Markdown table, numbers to the right."""
    yield f'| {" | ".join(header)} |'
    yield f'|---|{"---:|" * (len(header) - 1)}'
    for row in rows:
        yield f'| {" | ".join(row)} |'


def _mean(row: Row, split: str, metric: str) -> float:
    return mean(row.values(split, metric) or [-1.0])


def _predicted(row: Row) -> int:
    return sum('predicted' in run for run in row.runs.values())


def _cell(values: Sequence[float]) -> str:
    if not values:
        return '-'
    spread = f' ± {stdev(values):.1f}' if len(values) > 1 else ''
    return f'{mean(values):.1f}{spread}'


def _bounds(values: np.ndarray) -> str:
    low, high = interval(values)
    return f'[{low:.1f}, {high:.1f}]'
