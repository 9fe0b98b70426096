"""Decisions of the least expected cost, and what decisions cost."""

from collections.abc import Sequence

import numpy as np

from mmimbal.evaluation.metrics import check_probabilities, check_scores, checked_labels


def checked_costs(costs: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Return checked costs as float64, (K, K).

    Args:
        costs: Cost of each decision, true class x predicted class, (K, K).
        classes: K class names.

    Raises:
        ValueError: If the shape is wrong, or a cost is negative or not finite.
    """
    costs, number = np.asarray(costs, float), len(classes)
    if costs.shape != (number, number):
        raise ValueError(
            f'costs have shape {costs.shape}, expected {(number, number)}: true class '
            f'x predicted class, in the order {", ".join(classes)}'
        )
    wrong = np.argwhere(~np.isfinite(costs) | (costs < 0))
    if len(wrong):
        true, predicted = wrong[0]
        raise ValueError(
            f'the cost of predicting {classes[predicted]} for {classes[true]} is '
            f'{costs[true, predicted]}: costs are finite and not negative. A gain is a '
            'lower cost than that of the other decisions'
        )
    return costs


def least_cost_decisions(
    probabilities: np.ndarray, costs: np.ndarray, classes: Sequence[str]
) -> np.ndarray:
    """Return the class with the least expected cost for each image, (N,).

    Probabilities must be calibrated (Elkan 2001, The Foundations of Cost-Sensitive
    Learning). Of equal costs, the class with the higher probability is taken, then the
    first. If all errors cost the same, it is the most probable class.

    Args:
        probabilities: Probabilities of N images, (N, K).
        costs: Cost of each decision, true class x predicted class, (K, K).
        classes: K class names.

    Raises:
        ValueError: If there are no images, a row is not finite or no probabilities, or
            costs are wrong (see :func:`checked_costs`).
    """
    costs = checked_costs(costs, classes)
    probabilities = np.asarray(probabilities, float)
    check_scores(probabilities, len(probabilities), len(classes))
    check_probabilities(probabilities)
    expected = probabilities @ costs
    slack = 1e-12 * max(costs.max(), 1e-300)
    best = expected <= expected.min(1, keepdims=True) + slack
    return np.where(best, probabilities, -1.0).argmax(1)


def mean_cost(
    labels: np.ndarray,
    decisions: np.ndarray,
    costs: np.ndarray,
    classes: Sequence[str],
    weights: np.ndarray,
) -> np.ndarray:
    """Return the mean cost of an image, (B,).

    Args:
        labels: True class of each image, (N,).
        decisions: Predicted class of each image, (N,).
        costs: Cost of each decision, true class x predicted class, (K, K).
        classes: K class names.
        weights: How often each image counts, (B, N).

    Raises:
        ValueError: If there are no images, labels or decisions are not in 0..K-1, or
            costs are wrong (see :func:`checked_costs`).
    """
    costs = checked_costs(costs, classes)
    labels, decisions = (checked_labels(each, classes) for each in (labels, decisions))
    if len(labels) != len(decisions):
        raise ValueError(f'{len(decisions)} decisions for {len(labels)} images')
    return weights @ costs[labels, decisions] / weights.sum(1)
