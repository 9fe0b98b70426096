import numpy as np
import pytest
from scipy.stats import binomtest

from mmimbal.evaluation.bootstrap import (
    FEW_GROUPS,
    caution,
    draw_groups,
    draw_weights,
    groups_of_shares,
    interval,
    interval_of,
    metrics_with_intervals,
    resample,
)
from mmimbal.evaluation.metrics import metrics_of, summarise
from mmimbal.evaluation.predictions import Predictions


def simulate(random, groups, recalls=(0.9, 0.6), size=3):
    """Return predictions of two classes; images of a group stand or fall together."""
    labels = np.repeat(random.integers(0, 2, groups), size)
    right = np.repeat(random.random(groups), size) < np.array(recalls)[labels]
    predicted = np.where(right, labels, 1 - labels)
    names = np.repeat(np.arange(groups), size).astype(str)
    files = np.arange(groups * size).astype(str)
    return Predictions(np.eye(2)[predicted], labels, files, names, ('a', 'b'))


def resampled_metrics(run, resamples):
    measure = metrics_of(run.scores, run.labels, run.classes)
    return resample(measure, run.groups, resamples)


def test_intervals_cover_the_truth():
    random = np.random.default_rng(0)
    covered = alone = 0
    for _ in range(100):
        found = simulate(random, 120)
        low, high = interval(resampled_metrics(found, 200)['balanced_accuracy'])
        covered += low <= 0.75 <= high
        single = Predictions(
            found.scores, found.labels, found.files, found.files, found.classes
        )
        low, high = interval(resampled_metrics(single, 200)['balanced_accuracy'])
        alone += low <= 0.75 <= high
    assert covered >= 88  # of 95 expected
    assert alone < covered - 10  # as if the images of a group were independent


def test_groups_are_drawn_whole_and_as_many_as_there_are():
    groups = np.array(['x', 'y', 'x', 'z', 'y', 'x'])
    weights = np.concatenate(list(draw_weights(groups, 120, seed=0)))
    assert weights.shape == (120, 6)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 0] == weights[:, 5]).all()
    assert (weights[:, 1] == weights[:, 4]).all()
    assert (weights[:, [0, 1, 3]].sum(1) == 3).all()
    assert weights[:, 3].mean() == pytest.approx(1, abs=0.2)


def test_the_draws_depend_on_seed_and_groups_alone():
    groups = np.arange(30).astype(str)
    one, same, other = (
        np.concatenate(list(draw_weights(groups, 60, seed))) for seed in (0, 0, 1)
    )
    assert (one == same).all() and (one != other).any()


def differences(random, mend, spoil):
    """Return how much better a model is that mends and spoils shares of another's."""
    one = simulate(random, 150, (0.7, 0.7))
    right = one.scores.argmax(1) == one.labels
    drawn = np.repeat(random.random(150), 3)
    right = np.where(right, drawn >= spoil, drawn < mend)
    predicted = np.where(right, one.labels, 1 - one.labels)
    other = Predictions(
        np.eye(2)[predicted], one.labels, one.files, one.groups, one.classes
    )
    runs = [resampled_metrics(run, 200)['balanced_accuracy'] for run in (other, one)]
    return interval(runs[0] - runs[1])


def test_anything_is_measured_on_each_resample():
    groups, values = np.array(list('xyxzyx')), np.arange(6.0)
    found = resample(lambda w: dict(mean=w @ values / w.sum(1)), groups, 120, seed=3)
    weights = np.concatenate(list(draw_weights(groups, 120, seed=3)))
    expected = [np.repeat(values, row.astype(int)).mean() for row in weights]
    assert found['mean'] == pytest.approx(expected)


def test_a_planted_difference_is_found_and_no_other():
    random = np.random.default_rng(0)
    planted = [differences(random, mend=0.3, spoil=0.0) for _ in range(40)]
    none = [differences(random, mend=0.14, spoil=0.06) for _ in range(60)]
    assert all(low > 0 for low, _ in planted)
    assert sum(low > 0 or high < 0 for low, high in none) <= 8  # 3 expected


def test_interval_leaves_out_what_is_not_defined():
    values = np.append(np.arange(101.0), np.nan)
    assert interval(values) == pytest.approx((2.5, 97.5))


def simulate_equals(random):
    """Return predictions of seven classes, all with a recall of 60% and sure of 80%."""
    labels = np.arange(280) % 7
    right = random.random(280) < 0.6
    predicted = np.where(right, labels, (labels + 1) % 7)
    scores = 0.2 / 6 + (0.8 - 0.2 / 6) * np.eye(7)[predicted]
    names = np.arange(280).astype(str)
    return Predictions(scores, labels, names, names, tuple('abcdefg'))


def test_intervals_of_what_noise_shifts_cover_the_truth_and_what_was_measured():
    random = np.random.default_rng(0)
    truth = dict(worst_recall=60.0, ece=20.0)
    covered = dict.fromkeys(truth, 0)
    plain = dict.fromkeys(truth, 0)
    for _ in range(60):
        found = simulate_equals(random)
        measured = summarise(found.scores, found.labels, found.classes)
        drawn = resampled_metrics(found, 100)
        for name, value in truth.items():
            low, high = interval_of(name, measured[name], 100 * drawn[name])
            assert 0 <= low <= measured[name] <= high <= 100
            covered[name] += low <= value <= high
            low, high = interval(100 * drawn[name])
            plain[name] += low <= value <= high
    assert covered['ece'] >= 52 and covered['worst_recall'] >= 42
    assert plain['worst_recall'] <= 10


def test_differences_of_what_noise_shifts_reach_as_far_to_both_sides():
    values = np.linspace(-1, 3, 101)
    assert interval_of('ece', 0.5, values, difference=True) == pytest.approx(
        (0.5 - 2.4, 0.5 + 2.4)
    )
    assert interval_of('accuracy', 0.5, values, difference=True) == interval(values)
    values = np.linspace(0, 95, 101)
    assert interval_of('worst_recall', 90, values, difference=True)[1] == 100


def test_classes_of_few_groups_are_named():
    labels = np.array([0] * 50 + [1] * FEW_GROUPS + [2] * 12)
    names = [f'g{n}' for n in range(50 + FEW_GROUPS)]
    groups = np.array([*names, *['one'] * 9, 'two', 'two', 'g0'])
    assert caution(groups, labels, 'abc').startswith(
        f'Classes with fewer than {FEW_GROUPS} groups (c: 3). '
    )
    enough = 50 + FEW_GROUPS
    assert caution(groups[:enough], labels[:enough], 'abc') == ''
    assert 'too narrow and not reliable' in caution(groups[-12:], labels[-12:], 'abc')


def test_classes_that_a_run_finds_always_or_never_are_named():
    labels = np.repeat([0, 1, 2], 2 * FEW_GROUPS)
    groups = np.arange(len(labels)).astype(str)
    some = np.where(np.arange(len(labels)) % 5, labels, (labels + 1) % 3)
    assert caution(groups, labels, 'abc', [some, some]) == ''
    never = np.where(labels == 1, 2, some)
    always = np.where(labels == 2, 2, some)
    assert caution(groups, labels, 'abc', [some, never, always]) == (
        'Classes with a recall of 0 or 100%: b, c. Intervals of means over classes are '
        'too narrow.'
    )


def test_shares_and_the_groups_that_they_are_measured_on():
    labels, groups = np.array([0, 0, 0, 1, 1]), np.array(['a', 'b', 'b', 'b', 'c'])
    scores = np.eye(3)[labels]
    files = np.arange(5).astype(str)
    found = groups_of_shares(Predictions(scores, labels, files, groups, list('xyz')))
    assert found == {
        'recall/x': 2,
        'recall/y': 2,
        'recall/z': 0,
        'accuracy': 3,
        'worst_recall': 2,
    }


@pytest.mark.parametrize('groups', [3, 12, 30])
def test_a_share_of_all_or_none_has_the_exact_interval(groups):
    expected = binomtest(groups, groups).proportion_ci(method='exact')
    found = interval_of('recall/a', 100, np.full(9, 100.0), groups=groups)
    assert found == pytest.approx((100 * expected.low, 100))
    found = interval_of('recall/a', 0, np.zeros(9), groups=groups)
    assert found == pytest.approx((0, 100 - 100 * expected.low))
    values = np.linspace(20, 60, 9)
    assert interval_of('recall/a', 40, values, groups=groups) == interval(values)


def test_means_over_classes_need_as_many_groups_as_the_limit():
    """So that the limit is neither a guess nor lower than it should be."""
    random, covered = np.random.default_rng(0), {}
    for rare in (8, FEW_GROUPS):
        sizes = (150, rare)
        truth, inside = 0.9, 0
        labels = np.repeat([0, 1], sizes)
        for seed in range(300):
            hits = random.random(len(labels)) < truth
            drawn = np.concatenate(list(draw_groups(len(labels), 200, seed)))
            classes = [labels == 0, labels == 1]
            recalls = [(drawn @ (hits & each)) / (drawn @ each) for each in classes]
            low, high = interval(100 * np.mean(recalls, axis=0))
            inside += low <= 100 * truth <= high
        covered[rare] = inside / 300
    assert covered[8] < 0.86 and covered[FEW_GROUPS] > 0.88


def test_the_worst_recall_has_the_groups_of_the_class_with_fewest():
    labels, groups = np.array([0, 0, 0, 1]), np.array(['a', 'b', 'c', 'c'])
    files = np.arange(4).astype(str)
    run = Predictions(np.eye(3)[labels], labels, files, groups, list('xyz'))
    assert groups_of_shares(run)['worst_recall'] == 1


def test_the_interval_of_a_worst_recall_of_0_contains_the_resamples():
    """Some resamples miss the images of the class."""
    values = np.repeat([0.0, 50.0], [900, 100])
    assert interval_of('worst_recall', 0.0, values, groups=40) == (0.0, 50.0)


def test_each_metric_that_is_defined_with_its_interval():
    random = np.random.default_rng(0)
    two = simulate(random, 60, (1.0, 0.6))
    found = Predictions(  # the third class has no images
        np.pad(two.scores, ((0, 0), (0, 1))), two.labels, two.files, two.groups, 'abc'
    )
    measured = summarise(found.scores, found.labels, found.classes)
    drawn = resampled_metrics(found, 2000)
    assert metrics_with_intervals(found).keys() == measured.keys() < drawn.keys()
    of_a = len(set(found.groups[found.labels == 0]))
    groups = {'recall/a': of_a}
    for name in ('macro_f1', 'worst_recall', 'recall/a', 'recall/b', 'ece'):
        values = 100 * drawn[name]
        low, high = interval_of(name, measured[name], values, groups=groups.get(name))
        assert metrics_with_intervals(found)[name] == (measured[name], low, high)
    assert metrics_with_intervals(found)['recall/a'][1] < 95  # exact, not 100


def test_the_worst_recall_of_0_has_the_bound_of_the_class_with_most_groups():
    """It cannot be above the bound of any class that is never found."""
    labels = np.repeat([0, 1, 2, 3], (50, 30, 3, 8))
    predicted = np.where(labels == 2, 2, 1)  # a and d are never found
    files = np.arange(len(labels)).astype(str)
    run = Predictions(np.eye(4)[predicted], labels, files, files, list('abcd'))
    assert groups_of_shares(run)['worst_recall'] == 50
    found = metrics_with_intervals(run)
    assert found['worst_recall'] == found['recall/a'] != found['recall/d']
