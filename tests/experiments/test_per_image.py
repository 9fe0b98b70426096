import csv

import numpy as np
from sklearn.metrics import balanced_accuracy_score

from mmimbal.experiments.grid_results import read_grid_results
from mmimbal.experiments.per_image import write_per_image


def test_every_image_has_its_label_group_and_predictions(results, tmp_path):
    comparisons = read_grid_results(results / 'study', resamples=20).comparisons
    files = write_per_image(comparisons, tmp_path / 'csv')
    assert [file.name for file in files] == ['one.csv', 'two.csv']
    with open(files[0], newline='', encoding='utf-8') as file:
        table = list(csv.DictReader(file))
    assert len(table) == 2 * 200 and {row['fold'] for row in table} == {'0', '1'}
    assert {row['label'] for row in table} == {'a', 'b', 'c'}
    assert len({(row['fold'], row['group']) for row in table}) == 200
    comparison = comparisons['one']
    for name in comparison.rows:
        scores = [
            balanced_accuracy_score(
                [row['label'] for row in table],
                [row[f'{name}, seed {seed}'] for row in table],
            )
            for seed in (0, 1)
        ]
        found = comparison.metrics[name]['balanced_accuracy'][0]
        assert np.isclose(found, 100 * np.mean(scores))
