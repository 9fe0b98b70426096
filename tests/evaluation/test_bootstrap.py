import numpy as np
import pytest

from mmimbal.evaluation.bootstrap import draw_weights, interval, resampled_metrics
from mmimbal.evaluation.predictions import Predictions


def simulate(random, groups, recalls=(0.9, 0.6), size=3):
    """Return predictions of two classes; images of a group stand or fall together."""
    labels = np.repeat(random.integers(0, 2, groups), size)
    right = np.repeat(random.random(groups), size) < np.array(recalls)[labels]
    predicted = np.where(right, labels, 1 - labels)
    names = np.repeat(np.arange(groups), size).astype(str)
    files = np.arange(groups * size).astype(str)
    return Predictions(np.eye(2)[predicted], labels, files, names, ('a', 'b'))


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


def test_a_planted_difference_is_found_and_no_other():
    random = np.random.default_rng(0)
    planted = [differences(random, mend=0.3, spoil=0.0) for _ in range(40)]
    none = [differences(random, mend=0.14, spoil=0.06) for _ in range(60)]
    assert all(low > 0 for low, _ in planted)
    assert sum(low > 0 or high < 0 for low, high in none) <= 8  # 3 expected


def test_interval_leaves_out_what_is_not_defined():
    values = np.append(np.arange(101.0), np.nan)
    assert interval(values) == pytest.approx((2.5, 97.5))
