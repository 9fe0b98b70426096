import json

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from mmimbal.evaluation.bootstrap import draw_weights
from mmimbal.experiments.comparison import compare, mean_over_seeds
from mmimbal.experiments.fold_test import p_value
from mmimbal.experiments.results import images_file, read_images, unpack
from mmimbal.experiments.rows import read_rows, read_runs
from mmimbal.files.json_file import read_json, write_json
from tests.example_results import METRIC, change_results, write_results


@pytest.fixture
def folder(tmp_path):
    write_results(tmp_path / 'study')
    return tmp_path / 'study'


def rows_of(folder, dataset='one'):
    return read_rows(read_runs(folder), METRIC)[dataset]


def seeds_of(count):
    """Return which of two seeds each resample draws; the first value has both."""
    drawn = np.random.default_rng(2).integers(0, 2, (2, count))
    drawn[:, 0] = (0, 1)
    return drawn


def over_seeds(values, drawn):
    """Return the mean of drawn values; it varies as much as that of new seeds."""
    return np.mean(values) + np.sqrt(2) * (
        np.mean(np.take(values, drawn)) - np.mean(values)
    )


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
            chosen = seeds_of(61)[:, place]
            value = found[row.name]['balanced_accuracy'][place]
            assert value == pytest.approx(100 * over_seeds(expected, chosen))
            expected = [
                f1_score(labels, p, average='macro', sample_weight=weight)
                for p in predicted
            ]
            assert found[row.name]['macro_f1'][place] == pytest.approx(
                100 * over_seeds(expected, chosen)
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


def test_seeds_are_resampled_together():
    """Of all rows: heads of one backbone, and a recipe and its control, are paired."""
    values = [np.zeros(2001), np.full(2001, 10.0)]
    found = mean_over_seeds(values)
    assert found[0] == 5.0
    assert np.allclose(found, mean_over_seeds([v + 3 for v in values]) - 3)
    assert (np.isclose(found[1:], 5.0)).mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize('seeds', [2, 3, 5])
def test_a_mean_of_seeds_varies_as_much_as_that_of_new_seeds(seeds):
    drawn = np.random.default_rng(0).normal(size=(400, seeds))
    variances = [
        mean_over_seeds([np.full(400, value) for value in values])[1:].var()
        for values in drawn
    ]
    assert np.mean(variances) == pytest.approx(1 / seeds, rel=0.1)


def test_other_numbers_of_seeds_are_independent():
    three, five = (
        mean_over_seeds([np.full(4000, float(n)) for n in range(seeds)])[1:]
        for seeds in (3, 5)
    )
    assert abs(np.corrcoef(three, five)[0, 1]) < 0.05


def test_one_seed_is_not_resampled():
    values = np.arange(5.0)
    assert np.array_equal(mean_over_seeds([values]), values)


def share_test_images(folder):
    """Let both folds of a data set have the test images and scores of the first."""
    first, second = (images_file(folder, 'one', fold) for fold in (0, 1))
    second.write_bytes(first.read_bytes())
    for file in (folder / 'runs').glob('one_fold0_*'):
        result = json.loads(file.read_text()) | dict(fold=1)
        other = file.with_name(file.name.replace('fold0', 'fold1'))
        other.write_text(json.dumps(result))


def test_images_that_all_folds_test_on_count_once(folder):
    apart = compare(rows_of(folder), folder, 'one', resamples=400)
    assert (apart.images, apart.groups, apart.test_to_train) == (400, 200, 2.0)
    share_test_images(folder)
    found = compare(rows_of(folder), folder, 'one', resamples=400)
    assert (found.images, found.groups, found.test_to_train) == (200, 100, None)

    def width(comparison):
        values = comparison.metrics['ce + crt']['balanced_accuracy'][1:]
        return np.subtract(*np.quantile(values, (0.975, 0.025)))

    assert width(found) > 1.15 * width(apart)


def test_folds_of_other_classes_are_not_pooled(folder):
    file = images_file(folder, 'one', 1)
    write_json(read_json(file) | dict(classes=['b', 'c', 'a']), file)
    with pytest.raises(ValueError, match='has the classes b, c, a, but another fold'):
        compare(rows_of(folder), folder, 'one', 20)


def test_rows_are_compared_on_the_seeds_that_both_have(folder):
    """Or a difference would have the variance over seeds of one row alone."""
    for file in (folder / 'runs').glob('one_*_triplet_seed1.json'):
        file.unlink()
    names = 'triplet + crt', 'ce + crt'
    found = compare(rows_of(folder), folder, 'one', resamples=20)
    assert found.methods_with_other_seeds == ['triplet']
    both, others = ('supcon + crt', 'ce + crt'), found.metrics
    ours, theirs = (others[name]['macro_f1'] for name in both)
    assert np.array_equal(found.difference(*both, 'macro_f1'), ours - theirs)
    shown, p = found.difference(*names, 'macro_f1'), p_value(found, [names], 'macro_f1')
    for file in (folder / 'runs').glob('one_*_seed1.json'):
        file.unlink()
    alone = compare(rows_of(folder), folder, 'one', resamples=20)
    assert alone.methods_with_other_seeds == []
    assert np.array_equal(shown, alone.difference(*names, 'macro_f1'))
    assert p == p_value(alone, [names], 'macro_f1')
    plain = (each[names[1]]['macro_f1'] for each in (others, alone.metrics))
    assert not np.array_equal(*plain)


def test_rows_without_a_common_seed_are_compared_all_the_same(folder):
    for file in (folder / 'runs').glob('one_*.json'):
        if ('triplet' in file.name) == ('seed0' in file.name):
            file.unlink()
    found = compare(rows_of(folder), folder, 'one', resamples=20)
    names = 'triplet + crt', 'ce + crt'
    ours, theirs = (found.metrics[name]['macro_f1'] for name in names)
    assert np.array_equal(found.difference(*names, 'macro_f1'), ours - theirs)
