import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from mmimbal.evaluation import results_page
from mmimbal.evaluation.results import pack, write_json
from mmimbal.evaluation.results_page import write_page

RIGHT = {
    ('ce', ''): 0.5,
    ('ce', 'crt'): 0.7,
    ('triplet', 'crt'): 0.95,
    ('supcon', 'crt'): 0.7,
}


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(results_page, 'RESAMPLES', 200)


def scores_of(labels, predicted):
    return dict(
        balanced_accuracy=100 * balanced_accuracy_score(labels, predicted),
        macro_f1=100 * f1_score(labels, predicted, average='macro'),
    )


@pytest.fixture
def results(tmp_path):
    """Write two folds and two seeds of four rows on two data sets."""
    random = np.random.default_rng(0)
    folder = tmp_path / 'results' / 'study'
    write_json(
        dict(title='The study', metric=['triplet', 'supcon'], judged_on='test'),
        folder / 'grid.json',
    )
    for dataset in ('one', 'two'):
        for fold in (0, 1):
            labels = random.integers(0, 3, 200)
            images = dict(
                classes=['a', 'b', 'c'],
                files=f'{dataset}{fold}',
                labels=pack(labels),
                groups=pack(np.arange(200) // 2),
            )
            write_json(images, folder / 'images' / f'{dataset}_fold{fold}.json')
            for seed in (0, 1):
                for method in ('ce', 'triplet', 'supcon'):
                    rows = []
                    for (name, stage2), share in RIGHT.items():
                        if name != method:
                            continue
                        right = random.random(200) < share
                        predicted = np.where(right, labels, (labels + 1) % 3)
                        scores = scores_of(labels, predicted)
                        rows.append(
                            dict(
                                stage2=stage2,
                                params={},
                                val=scores,
                                test=scores,
                                predicted=pack(predicted),
                            )
                        )
                    result = dict(
                        dataset=dataset,
                        fold=fold,
                        seed=seed,
                        method=method,
                        batch_norm='frozen',
                        device='a GPU' if dataset == 'one' else 'CPU',
                        rows=rows,
                    )
                    name = f'{dataset}_fold{fold}_{method}_seed{seed}.json'
                    write_json(result, folder / 'runs' / name)
    return tmp_path / 'results'


def tables(page):
    """Return the tables of a page: lists of rows of cells."""
    found, rows = [], []
    for line in page.read_text().splitlines():
        if line.startswith('|'):
            rows.append([cell.strip() for cell in line.strip('|').split('|')])
        elif rows:
            found.append(rows)
            rows = []
    return [*found, rows] if rows else found


def test_table_of_means_the_best_first(results, tmp_path):
    write_page(results, tmp_path / 'docs' / 'results.md')
    first = tables(tmp_path / 'docs' / 'results.md')[0]
    assert first[2][0] == 'triplet + crt \\*'
    assert first[-1][0] == 'ce'
    text = (tmp_path / 'docs' / 'results.md').read_text()
    assert 'Runs: 12 on CPU, 12 on a GPU.' in text
    values = []
    for row in results_page.read_rows(results_page.read_runs(results / 'study'), [])[
        'one'
    ]:
        if row.name == 'ce':
            values = row.values('test', 'balanced_accuracy')
    assert len(values) == 4
    expected = f'{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}'
    assert first[-1][2] == expected


def test_paired_differences_are_to_the_best_row_without_metric_learning(
    results, tmp_path
):
    write_page(results, tmp_path / 'results.md')
    text = (tmp_path / 'results.md').read_text()
    assert text.count('Best row without metric learning: **ce + crt**') == 2
    rows = {row[0]: row for row in tables(tmp_path / 'results.md')[1][2:]}
    gain, bounds = rows['triplet + crt \\*'][2].split(' ', 1)
    assert 15 < float(gain) < 35 and float(bounds.strip('[]').split(',')[0]) > 0
    low, high = rows['supcon + crt \\*'][2].split(' ', 1)[1].strip('[]').split(',')
    assert float(low) < 0 < float(high)
    assert rows['ce + crt'][2] == '-'


def test_pooled_metrics_are_those_of_all_folds_at_once(results):
    rows = results_page.read_rows(results_page.read_runs(results / 'study'), [])['one']
    row = next(row for row in rows if row.name == 'triplet + crt')
    images = {
        fold: results_page.read_images(results / f'study/images/one_fold{fold}.json')
        for fold in (0, 1)
    }
    found = results_page.resampled(row, images)
    labels = np.concatenate([images[fold].labels for fold in (0, 1)])
    expected = np.mean(
        [
            balanced_accuracy_score(
                labels,
                np.concatenate(
                    [
                        results_page.unpack(row.runs[fold, seed]['predicted'])
                        for fold in (0, 1)
                    ]
                ),
            )
            for seed in (0, 1)
        ]
    )
    assert found['balanced_accuracy'][0] == pytest.approx(100 * expected)
    assert len(found['balanced_accuracy']) == 201


def test_rows_that_lack_runs_say_so_and_are_not_compared(results, tmp_path):
    (results / 'study/runs/one_fold1_triplet_seed1.json').unlink()
    write_page(results, tmp_path / 'results.md')
    first, second, *_, last = tables(tmp_path / 'results.md')
    assert next(r for r in first if r[0].startswith('triplet'))[-1] == '3 of 4'
    assert not any(row[0].startswith('triplet') for row in second)
    assert not any(row[0].startswith('triplet') for row in last)


def test_mean_ranks(results, tmp_path):
    write_page(results, tmp_path / 'results.md')
    table = tables(tmp_path / 'results.md')[-1][2:]
    last = {name: list(map(float, values)) for name, *values in table}
    assert last['triplet + crt'][0] == 1.0 and last['ce'][0] == 4.0
    assert 2 <= last['ce + crt'][0] <= 3
    runs = results_page.read_runs(results / 'study')
    rows = [row for run in runs for row in run['rows'] if run['method'] == 'triplet']
    for column, metric in enumerate(('balanced_accuracy', 'macro_f1'), 1):
        expected = np.mean([row['test'][metric] for row in rows])
        assert last['triplet + crt'][column] == pytest.approx(expected, abs=0.051)


def test_a_grid_judged_on_validation_shows_nothing_of_test(results, tmp_path):
    about = dict(title='Screening', metric=[], judged_on='val')
    write_json(about, results / 'study' / 'grid.json')
    write_page(results, tmp_path / 'results.md')
    text = (tmp_path / 'results.md').read_text()
    assert '(test)' not in text and 'paired' not in text


def test_without_results_it_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match='no results in'):
        write_page(tmp_path, tmp_path / 'results.md')
