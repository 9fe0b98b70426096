import numpy as np
import pytest

from mmimbal.evaluation.costs import checked_costs, least_cost_decisions, mean_cost
from tests.evaluation.simulated import CLASSES, simulate

COSTS = np.array([[0, 1, 0.5], [10, 0, 10], [1, 2, 0]])
EQUAL = 1 - np.eye(3)


def test_each_decision_by_hand():
    probabilities, _ = simulate(np.random.default_rng(0), 300)
    decisions = least_cost_decisions(probabilities, COSTS, CLASSES)
    for row, decision in zip(probabilities, decisions, strict=True):
        expected = [sum(row[t] * COSTS[t, p] for t in range(3)) for p in range(3)]
        assert decision == np.argmin(expected)
    assert set(decisions) == {0, 1, 2}


def test_with_true_probabilities_nothing_is_cheaper():
    probabilities, labels = simulate(np.random.default_rng(1), 5000)
    once = np.ones((1, 5000))
    decisions = least_cost_decisions(probabilities, COSTS, CLASSES)
    cost = mean_cost(labels, decisions, COSTS, CLASSES, once)
    expected = (probabilities @ COSTS).min(1).mean()
    assert cost == pytest.approx(expected, rel=0.05)
    for other in (probabilities.argmax(1), np.zeros(5000, int), np.ones(5000, int)):
        assert mean_cost(labels, other, COSTS, CLASSES, once) > cost


@pytest.mark.parametrize('scale', [1.0, 1e-9, 1e9])
def test_equal_costs_decide_for_the_most_probable_class(scale):
    probabilities, labels = simulate(np.random.default_rng(2), 200)
    probabilities[:2] = [[0.2, 0.4, 0.4], [0.2, 0.2, 0.6]]
    decisions = least_cost_decisions(probabilities, scale * EQUAL, CLASSES)
    assert (decisions == probabilities.argmax(1)).all()
    errors = mean_cost(labels, decisions, EQUAL, CLASSES, np.ones((1, 200)))
    assert errors == pytest.approx(np.mean(decisions != labels))
    free = least_cost_decisions(probabilities, 0 * EQUAL, CLASSES)
    assert (free == probabilities.argmax(1)).all()


def test_rounding_decides_nothing():
    """The most probable class is so by the smallest difference there is."""
    rows = np.random.default_rng(0).dirichlet(np.ones(7), 200000)
    rows[:, 3] = np.nextafter(rows[:, 1], 1)
    rows = rows[rows.argmax(1) == 3]
    rows = rows[np.abs(rows.sum(1) - 1) < 0.02]
    assert len(rows) > 50
    decisions = least_cost_decisions(rows, 1 - np.eye(7), tuple('abcdefg'))
    assert (decisions == 3).all()


def test_weights_are_how_often_an_image_counts():
    random = np.random.default_rng(3)
    labels, decisions = random.integers(0, 3, (2, 30))
    weights = random.integers(0, 3, (4, 30)).astype(float)
    for found, times in zip(
        mean_cost(labels, decisions, COSTS, CLASSES, weights), weights, strict=True
    ):
        costs = [
            COSTS[t, p]
            for t, p, n in zip(labels, decisions, times.astype(int), strict=True)
            for _ in range(n)
        ]
        assert found == pytest.approx(np.mean(costs))


@pytest.mark.parametrize(
    ('costs', 'message'),
    [
        (np.ones((3, 2)), r'\(3, 2\), expected \(3, 3\)'),
        (EQUAL - 2 * np.eye(3)[::-1], 'predicting scar for nevus is -1.0'),
        (np.where(np.eye(3), np.nan, 1), 'predicting nevus for nevus is nan'),
    ],
)
def test_bad_costs_are_told(costs, message):
    for call in (
        lambda: checked_costs(costs, CLASSES),
        lambda: least_cost_decisions(np.eye(3), costs, CLASSES),
        lambda: mean_cost([0], [0], costs, CLASSES, np.ones((1, 1))),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_bad_images_are_told():
    with pytest.raises(ValueError, match='at least one image'):
        least_cost_decisions(np.empty((0, 3)), COSTS, CLASSES)
    with pytest.raises(ValueError, match=r'image 1 have .* sum 1.5'):
        least_cost_decisions([[1, 0, 0], [0.5, 0.5, 0.5]], COSTS, CLASSES)
    with pytest.raises(ValueError, match='2 decisions for 1 images'):
        mean_cost([0], [0, 1], COSTS, CLASSES, np.ones((1, 1)))
    with pytest.raises(ValueError, match='range from -1 to 0'):
        mean_cost([0, 0], [-1, 0], COSTS, CLASSES, np.ones((1, 2)))
    with pytest.raises(ValueError, match=r'as integers .* float64'):
        mean_cost([0], [0.0], COSTS, CLASSES, np.ones((1, 1)))
