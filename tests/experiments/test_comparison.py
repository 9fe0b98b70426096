import zlib

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from mmimbal.evaluation.bootstrap import draw_weights
from mmimbal.experiments.comparison import compare, mean_over_seeds
from mmimbal.experiments.results import images_file, read_images, unpack
from mmimbal.experiments.rows import read_rows, read_runs
from tests.example_results import METRIC, change_results, write_results


@pytest.fixture
def folder(tmp_path):
    write_results(tmp_path / 'study')
    return tmp_path / 'study'


def rows_of(folder, dataset='one'):
    return read_rows(read_runs(folder), METRIC)[dataset]


def seeds_of(method, count):
    """Return which of two seeds each resample draws; the first value has both."""
    drawn = np.random.default_rng(zlib.crc32(method.encode())).integers(
        0, 2, (2, count)
    )
    drawn[:, 0] = (0, 1)
    return drawn


def test_values_are_those_of_the_pooled_predictions_resampled_by_group(folder):
    found = compare(rows_of(folder), folder, 'one', resamples=60).metrics
    images = [read_images(images_file(folder, 'one', fold)) for fold in (0, 1)]
    labels = np.concatenate([one.labels for one in images])
    groups = np.concatenate(
        [f'{n} ' + one.groups.astype(str) for n, one in zip('01', images, strict=True)]
    )
    weights = [np.ones((1, len(labels))), *draw_weights(groups, 60, seed=0)]
    for row in rows_of(folder).values():
        predicted = [
            np.concatenate(
                [unpack(row.runs[fold, seed]['predicted']) for fold in (0, 1)]
            )
            for seed in (0, 1)
        ]
        for place, weight in enumerate(np.concatenate(weights)[:5]):
            expected = [
                balanced_accuracy_score(labels, p, sample_weight=weight)
                for p in predicted
            ]
            chosen = seeds_of(row.method, 61)[:, place]
            value = found[row.name]['balanced_accuracy'][place]
            assert value == pytest.approx(100 * np.mean(np.take(expected, chosen)))
            expected = [
                f1_score(labels, p, average='macro', sample_weight=weight)
                for p in predicted
            ]
            assert found[row.name]['macro_f1'][place] == pytest.approx(
                100 * np.mean(np.take(expected, chosen))
            )
        assert found[row.name]['macro_f1'].shape == (61,)


def test_the_best_plain_row_is_that_of_test_images(folder):
    found = compare(rows_of(folder), folder, 'one', resamples=20)
    assert found.best_plain == 'ce + crt' and found.resamples == 20
    gain = found.difference('triplet + crt', 'ce + crt', 'balanced_accuracy')
    assert (
        gain[0]
        == found.metrics['triplet + crt']['balanced_accuracy'][0]
        - found.metrics['ce + crt']['balanced_accuracy'][0]
    )
    assert gain.min() > 0


def test_rows_that_lack_a_run_are_left_out(folder):
    for seed in (0, 1):
        (folder / f'runs/one_fold1_triplet_seed{seed}.json').unlink()
    found = compare(rows_of(folder), folder, 'one', resamples=20)
    assert set(found.rows) == {'ce', 'ce + crt', 'supcon + crt'}
    assert set(found.not_compared) == {'triplet', 'triplet + crt'}


@pytest.mark.parametrize('begun', ['ce', 'triplet'])
def test_a_seed_that_has_only_begun_leaves_no_row_out(folder, begun):
    for file in (folder / 'runs').glob('*_seed1.json'):
        if file.name != f'one_fold0_{begun}_seed1.json':
            file.unlink()
    rows = rows_of(folder)
    found = compare(rows, folder, 'one', resamples=20)
    assert set(found.rows) == set(rows) and not found.not_compared
    assert list(found.folds) == [0, 1] and found.best_plain == 'ce + crt'
    for row in found.rows.values():
        assert set(row.runs) == {(0, 0), (1, 0)}


def test_of_as_many_runs_most_rows_are_compared(folder):
    for file in (folder / 'runs').iterdir():
        if 'seed1' in file.name or 'fold1_ce' in file.name or 'supcon' in file.name:
            file.unlink()
    found = compare(rows_of(folder), folder, 'one', resamples=20)
    assert set(found.rows) == {'ce', 'ce + crt', 'triplet', 'triplet + crt'}
    assert list(found.folds) == [0]


def test_folds_that_ran_with_different_seeds_are_not_pooled(folder):
    for file in (folder / 'runs').iterdir():
        if ('fold0' in file.name) == ('seed0' in file.name):
            file.unlink()
    found = compare(rows_of(folder), folder, 'one', resamples=20)
    assert len(found.folds) == 1 and not found.not_compared


def test_rows_with_a_run_that_diverged_are_left_out(folder):
    """It has no predictions in any fold, as if the row had one seed less."""

    def diverge(result):
        if result['seed'] == 1:
            for row in result['rows']:
                if (result['method'], row['stage2']) == ('triplet', 'crt'):
                    del row['test'], row['predicted']

    change_results(folder, diverge)
    found = compare(rows_of(folder), folder, 'one', resamples=20)
    assert set(found.rows) == {'ce', 'ce + crt', 'triplet', 'supcon + crt'}
    assert found.not_compared == ['triplet + crt']


def test_rows_may_have_seeds_of_their_own(folder):
    for file in (folder / 'runs').glob('*_ce_seed1.json'):
        file.unlink()
    found = compare(rows_of(folder), folder, 'one', resamples=20)
    assert set(found.rows) == set(rows_of(folder))
    assert list(found.rows['ce'].runs) == [(0, 0), (1, 0)]
    assert len(found.rows['triplet'].runs) == 4


def test_folds_that_few_rows_have_are_left_out(folder):
    for file in (folder / 'runs').glob('one_fold1_*'):
        if '_ce_' not in file.name:
            file.unlink()
    found = compare(rows_of(folder), folder, 'one', resamples=20)
    assert set(found.rows) == set(rows_of(folder))
    assert list(found.folds) == [0]
    for row in found.rows.values():  # so that choices are made on the same runs too
        assert set(row.runs) == {(0, 0), (0, 1)}
    labels = read_images(images_file(folder, 'one', 0)).labels
    row = rows_of(folder)['ce']
    predicted = [unpack(row.runs[0, seed]['predicted']) for seed in (0, 1)]
    expected = np.mean([balanced_accuracy_score(labels, one) for one in predicted])
    value = found.metrics['ce']['balanced_accuracy'][0]
    assert value == pytest.approx(100 * expected)


def test_runs_of_other_test_images_are_not_compared(folder):
    def change_images(result):
        if result['fold'] == 1 and result['method'] == 'supcon':
            result['images'] = 'others'

    change_results(folder, change_images)
    with pytest.raises(
        ValueError,
        match=r'supcon \+ crt, fold 1, seed 0: its test images differ from',
    ):
        compare(rows_of(folder), folder, 'one', resamples=20)


def test_test_images_must_be_there(folder):
    images_file(folder, 'one', 1).unlink()
    with pytest.raises(FileNotFoundError, match=r'one_fold1\.json'):
        compare(rows_of(folder), folder, 'one', resamples=20)


def test_seeds_are_resampled_together_for_all_heads_of_a_method():
    """Heads of one backbone share what its seed brought."""
    values = [np.zeros(2001), np.full(2001, 10.0)]
    first = mean_over_seeds(values, 'triplet')
    assert first[0] == 5.0 and set(first[1:]) == {0.0, 5.0, 10.0}
    assert (first[1:] == 5.0).mean() == pytest.approx(0.5, abs=0.05)
    assert np.array_equal(first, mean_over_seeds(values, 'triplet'))
    assert not np.array_equal(first, mean_over_seeds(values, 'ce'))


def test_one_seed_is_not_resampled():
    values = np.arange(5.0)
    assert np.array_equal(mean_over_seeds([values], 'ce'), values)
