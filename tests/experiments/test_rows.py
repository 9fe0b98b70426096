import numpy as np
import pytest

from mmimbal.experiments.rows import (
    chosen_on_validation,
    finished_seeds,
    read_rows,
    read_runs,
)
from tests.example_results import METRIC, RIGHT, change_results, write_results


@pytest.fixture
def folder(tmp_path):
    write_results(tmp_path / 'study')
    return tmp_path / 'study'


def test_every_method_of_both_stages_is_a_row_with_all_its_runs(folder):
    results = read_runs(folder)
    tables = read_rows(results, METRIC)
    assert list(tables) == ['one', 'two']
    for dataset, rows in tables.items():
        assert {(row.method, row.stage2) for row in rows.values()} == set(RIGHT)
        for name, row in rows.items():
            assert (
                name == row.name == ' + '.join(filter(None, (row.method, row.stage2)))
            )
            assert row.has_metric_loss == (row.method != 'ce')
            assert row.predicted == {(f, s) for f in (0, 1) for s in (0, 1)}
            values = [
                found['test']['macro_f1']
                for result in results
                if (result['dataset'], result['method']) == (dataset, row.method)
                for found in result['rows']
                if found['stage2'] == row.stage2
            ]
            assert sorted(row.values('test', 'macro_f1')) == sorted(values)
            assert row.mean('test', 'macro_f1') == pytest.approx(np.mean(values))
            assert row.mean('test', 'unknown') == -1


def test_choices_are_made_on_validation_over_all_data_sets(folder):
    """Test images say the opposite, and one data set alone would choose otherwise."""

    def judge(result):
        for row in result['rows']:
            value = {'one': {'crt': 40, '': 50}, 'two': {'crt': 90, '': 60}}
            row['val'] = dict(balanced_accuracy=value[result['dataset']][row['stage2']])
            if result['method'] == 'supcon':
                row['val'] = dict(balanced_accuracy=99)
            if result['method'] == 'ce':
                row['val'] = dict(balanced_accuracy=70 + 10 * (row['stage2'] == ''))

    change_results(folder, judge)
    tables = list(read_rows(read_runs(folder), METRIC).values())
    assert chosen_on_validation(tables) == ['supcon + crt', 'ce', 'triplet + crt']
    assert chosen_on_validation(tables[:1]) == ['supcon + crt', 'ce', 'triplet']
    del tables[1]['supcon + crt'].runs[0, 1]  # it was in front with fewer runs
    assert chosen_on_validation(tables) == ['ce', 'triplet + crt', 'supcon + crt']
    del tables[1]['supcon + crt'], tables[0]['ce']
    assert chosen_on_validation(tables) == ['ce + crt', 'triplet + crt']
    assert chosen_on_validation([]) == []


def test_seeds_of_its_own_do_not_put_a_method_in_front(folder):
    """Others that have all of theirs do not lack runs; see the seeds of a grid."""

    def judge(result):
        for row in result['rows']:
            row['val'] = dict(balanced_accuracy=60 + 20 * (result['method'] == 'ce'))

    change_results(folder, judge)
    tables = list(read_rows(read_runs(folder), METRIC).values())
    for rows in tables:
        for row in rows.values():
            if row.method != 'triplet':
                row.runs = {key: run for key, run in row.runs.items() if key[1] == 0}
    assert chosen_on_validation(tables)[0] == 'ce'
    del tables[0]['ce'].runs[0, 0], tables[0]['ce + crt'].runs[0, 0]
    assert chosen_on_validation(tables)[-1].startswith('ce')


def test_a_seed_with_fewer_folds_than_another_is_left_out(folder):
    """Only in its own data set, and only of its own method."""
    (folder / 'runs/one_fold1_ce_seed1.json').unlink()
    for seed in (0, 1):  # no seed of it has more folds
        (folder / f'runs/two_fold1_triplet_seed{seed}.json').unlink()
    results = read_runs(folder)
    kept, left_out = finished_seeds(results)
    assert left_out == ['one, ce, seed 1 (has fold 0)']
    missing = [each for each in results if each not in kept]
    assert [(r['dataset'], r['method'], r['seed']) for r in missing] == [
        ('one', 'ce', 1)
    ]
    assert len(kept) == len(results) - 1


def test_seeds_with_other_folds_are_not_mixed(folder):
    """Fold 1 would count twice, and folds 0 and 2 once."""
    results = [
        dict(dataset='one', method='ce', seed=seed, fold=fold)
        for seed, fold in [(1, 1), (1, 2), (0, 0), (0, 1), (2, 0), (2, 1)]
    ]
    kept, left_out = finished_seeds(results)
    assert [each['seed'] for each in kept] == [0, 0, 2, 2]
    assert left_out == ['one, ce, seed 1 (has fold 1, 2)']
