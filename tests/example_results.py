"""Results of a grid of experiments, as tests need them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.metrics import balanced_accuracy_score, f1_score

from mmimbal.experiments.results import images_file, pack
from mmimbal.files.json_file import write_json

SIZE = 200  # test images of a fold, two of each group
RIGHT = {  # share of images that a row gets right
    ('ce', ''): 0.5,
    ('ce', 'crt'): 0.7,
    ('triplet', ''): 0.6,
    ('triplet', 'crt'): 0.95,
    ('supcon', 'crt'): 0.7,
}
METRIC = ('triplet', 'supcon')


def scores_of(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Return what rows are judged by, in %."""
    return dict(
        balanced_accuracy=100 * balanced_accuracy_score(labels, predicted),
        macro_f1=100 * f1_score(labels, predicted, average='macro'),
    )


def write_results(folder: Path, datasets: tuple[str, ...] = ('one', 'two')) -> None:
    """Write two folds and two seeds of every row of :data:`RIGHT`."""
    random = np.random.default_rng(0)
    about = dict(
        title='The study',
        notes='Known beforehand.',
        metric=METRIC,
        judged_on='test',
        datasets=['one', 'two'],
        experiments=[
            f'{dataset}_fold{fold}_{method}_seed{seed}'
            for dataset in ('one', 'two')
            for fold in (0, 1)
            for method in ('ce', 'triplet', 'supcon')
            for seed in (0, 1)
        ],
    )
    write_json(about, folder / 'grid.json')
    for dataset in datasets:
        for fold in (0, 1):
            labels = random.integers(0, 3, SIZE)
            images = dict(
                classes=['a', 'b', 'c'],
                files=f'{dataset}{fold}',
                labels=pack(labels),
                groups=pack(np.arange(SIZE) // 2),
                train=SIZE // 2,
            )
            write_json(images, images_file(folder, dataset, fold))
            for seed in (0, 1):
                for method in dict.fromkeys(name for name, _ in RIGHT):
                    result = dict(
                        dataset=dataset,
                        fold=fold,
                        seed=seed,
                        method=method,
                        batch_norm='frozen',
                        device='a GPU' if dataset == 'one' else 'CPU',
                        images=images['files'],
                        rows=rows_of(method, labels, random),
                    )
                    name = f'{dataset}_fold{fold}_{method}_seed{seed}.json'
                    write_json(result, folder / 'runs' / name)


def rows_of(method: str, labels: np.ndarray, random: np.random.Generator) -> list[dict]:
    """Return the rows of an experiment; validation finds what test does."""
    rows = []
    for (name, stage2), share in RIGHT.items():
        if name == method:
            right = random.random(len(labels)) < share
            predicted = np.where(right, labels, (labels + 1) % 3)
            scores = scores_of(labels, predicted)
            row = dict(stage2=stage2, params={}, val=scores, test=scores)
            rows.append(row | dict(predicted=pack(predicted)))
    return rows


def change_results(folder: Path, function: Callable[[dict], object]) -> None:
    """Change every result of a grid in place."""
    for file in (folder / 'runs').iterdir():
        result = json.loads(file.read_text())
        function(result)
        write_json(result, file)
