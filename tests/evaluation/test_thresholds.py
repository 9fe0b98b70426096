import numpy as np
import pytest
from scipy.stats import beta, binomtest
from sklearn.metrics import roc_curve

from mmimbal.evaluation.thresholds import (
    fit_threshold,
    groups_needed,
    promises,
    worst_of_each_group,
)
from tests.evaluation.simulated import CLASSES, binomial_range, own_groups, simulate

PAIR = ('rest', 'melanoma')


def of_one_class(scores, label=1):
    """Return two-class images that all have one label."""
    scores = np.ravel(scores)
    return np.stack([1 - scores, scores], 1), np.full(len(scores), label)


def test_bounds_are_those_of_clopper_and_pearson():
    for number in (1, 7, 60):
        expected = [
            binomtest(number - rank, number, alternative='greater')
            .proportion_ci(0.9)
            .low
            for rank in range(number)
        ]
        assert promises(number, 0.9) == pytest.approx(expected)


@pytest.mark.parametrize('goal', ['sensitivity', 'specificity'])
def test_the_promise_holds_at_its_level(goal):
    """New groups pass with a known chance: a group has 3 images of uniform scores."""
    random, trials, groups, wanted = np.random.default_rng(0), 1500, 90, 0.9
    names, label = np.repeat(own_groups(groups), 3), int(goal == 'sensitivity')
    broken = below_bound = short = naive = 0
    for _ in range(trials):
        images = of_one_class(random.random((groups, 3)), label)
        fitted = fit_threshold(*images, names, PAIR, 'melanoma', **{goal: wanted})
        alone = fit_threshold(
            *images, own_groups(len(names)), PAIR, 'melanoma', **{goal: wanted}
        )

        def true_share(value):
            return (1 - value if label else value) ** 3

        broken += true_share(fitted.value) < wanted
        below_bound += true_share(fitted.value) < fitted.bound
        short += true_share(fitted.empirical) < wanted
        naive += true_share(alone.value) < wanted
    # The chosen rank is 4 of 90: bound 0.9005.
    chance = beta.cdf(wanted, groups - 4, 5)
    assert 0.03 < chance < 0.05 and fitted.bound == promises(groups)[4]
    low, high = binomial_range(trials, chance)
    assert low <= broken <= high
    low, high = binomial_range(trials, 0.05)
    assert low <= below_bound <= high
    chance = beta.cdf(wanted, groups - 9, 10)  # 9 of 90 may fail: the plain threshold
    low, high = binomial_range(trials, chance)
    assert 0.5 < chance < 0.6 and low <= short <= high
    assert naive > 0.9 * trials  # as if the images of a group were independent


def test_plain_threshold_is_that_of_scikit_learn():
    probabilities, labels = simulate(np.random.default_rng(2), 400)
    fitted = fit_threshold(
        probabilities,
        labels,
        own_groups(400),
        CLASSES,
        'melanoma',
        sensitivity=0.8,
        promise=False,
    )
    _, found, thresholds = roc_curve(
        labels == 1, probabilities[:, 1], drop_intermediate=False
    )
    assert fitted.value == fitted.empirical == thresholds[np.argmax(found >= 0.8)]
    assert fitted.bound == fitted.empirical_bound < 0.8
    assert fitted.groups == (labels == 1).sum()
    decided = fitted.apply(probabilities)
    assert (decided == (probabilities[:, 1] >= fitted.value)).all()
    assert decided[labels == 1].mean() >= 0.8


def test_a_tiny_goal_finds_a_group_nevertheless():
    probabilities, labels = simulate(np.random.default_rng(2), 100)
    options = dict(sensitivity=1e-12, promise=False)
    fitted = fit_threshold(
        probabilities, labels, own_groups(100), CLASSES, 'melanoma', **options
    )
    assert fitted.value == probabilities[labels == 1, 1].max()


@pytest.mark.parametrize('label', [0, 1])
def test_every_threshold_by_trying_all(label):
    random = np.random.default_rng(3)
    images = of_one_class(random.integers(0, 30, 200) / 32, label)
    groups = np.sort(random.integers(0, 70, 200)).astype(str)
    goal = ('specificity', 'sensitivity')[label]
    fitted = fit_threshold(*images, groups, PAIR, 'melanoma', **{goal: 0.85})
    scores, number = images[0][:, 1], len(set(groups))
    candidates = scores if label else np.nextafter(scores, 2)

    def passed(value):
        ok = (scores >= value) == bool(label)
        return sum(ok[groups == name].all() for name in set(groups))

    def bound(value):
        test = binomtest(passed(value), number, alternative='greater')
        return test.proportion_ci(0.95).low

    best = max if label else min
    assert fitted.empirical == best(
        c for c in candidates if passed(c) >= 0.85 * number - 1e-9
    )
    assert fitted.value == best(c for c in candidates if bound(c) >= 0.85)
    assert 0.85 <= fitted.bound <= bound(fitted.value) + 1e-12
    assert fitted.groups == number


def test_a_group_of_several_classes_has_a_worst_image_of_each():
    assert worst_of_each_group(
        np.array([3.0, 1.0, 2.0, 5.0]), np.array([7, 7, 2, 9])
    ).tolist() == [1.0, 2.0, 5.0]
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    fitted = fit_threshold(
        probabilities,
        np.array([0, 1, 1]),
        ['p', 'p', 'q'],
        PAIR,
        'melanoma',
        sensitivity=0.9,
        promise=False,
    )
    assert fitted.value == 0.6 and fitted.groups == 2


def test_the_missing_groups_are_counted():
    assert groups_needed(0.95) == 59 and groups_needed(0.9) == 29
    assert groups_needed(0.9, 0.9) == 22 and groups_needed(0.1, 0.05) == 1
    scores = np.linspace(0.1, 0.9, 59)
    enough = fit_threshold(
        *of_one_class(scores), own_groups(59), PAIR, 'melanoma', sensitivity=0.95
    )
    assert enough.value == 0.1 and 0.95 <= enough.bound < 0.951
    with pytest.raises(
        ValueError, match=r'58 calibration groups of melanoma .* at least 59 groups'
    ):
        fit_threshold(
            *of_one_class(scores[1:]),
            own_groups(58),
            PAIR,
            'melanoma',
            sensitivity=0.95,
        )
    with pytest.raises(ValueError, match='1 calibration groups of other classes than'):
        fit_threshold(
            *of_one_class(scores, 0), ['p'] * 59, PAIR, 'melanoma', specificity=0.5
        )


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_float32_does_not_move_the_threshold(dtype):
    probabilities = np.full((5, 2), 0.5, dtype) + np.array([-0.2, 0.2], dtype)
    fitted = fit_threshold(
        probabilities,
        np.zeros(5, int),
        own_groups(5),
        PAIR,
        'melanoma',
        specificity=0.5,
    )
    assert not fitted.apply(probabilities).any()
    higher = probabilities + np.array([-0.01, 0.01], dtype)
    assert fitted.apply(higher).all()


def test_equal_scores_have_an_answer():
    equal, ones = of_one_class(np.full(60, 0.3))
    fitted = fit_threshold(
        equal, ones, own_groups(60), PAIR, 'melanoma', sensitivity=0.9
    )
    assert fitted.value == fitted.empirical == 0.3 and fitted.apply(equal).all()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(name='mole'), 'mole is not a class: rest, melanoma'),
        (dict(specificity=0.5), 'either a sensitivity or a specificity, got 0.5 and'),
        (dict(sensitivity=None), 'either a sensitivity or a specificity, got None'),
        (dict(sensitivity=1.0), 'sensitivity must be between 0 and 1.* got 1.0'),
        (dict(level=0.0), 'level must be between'),
        (dict(sensitivity=None, specificity=0.5), 'no calibration image of other'),
        (dict(groups=['a', '', 'c']), 'image 1 has no group'),
        (dict(groups=['a', 'b']), r'\(2,\) for 3 images'),
        (dict(groups=[0.5, 1.5, 2.5]), 'text or integers, got float64'),
        (
            dict(
                labels=np.zeros(3, int),
                sensitivity=None,
                specificity=0.5,
                promise=False,
            ),
            'above 1, which no',
        ),
    ],
)
def test_bad_input_is_told(change, message):
    arguments = dict(
        probabilities=np.array([[0.0, 1.0]] * 3),
        labels=np.ones(3, int),
        groups=['a', 'b', 'c'],
        classes=PAIR,
        name='melanoma',
        sensitivity=0.5,
    )
    with pytest.raises(ValueError, match=message):
        fit_threshold(**(arguments | change))
