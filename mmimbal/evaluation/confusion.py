"""Metrics as reductions of a confusion matrix.

A confusion matrix is (K, K), rows true classes, columns predicted ones. Classes that
do not occur are left out of averages as scikit-learn does. All results are in 0..1.
"""

import torch


def recall_per_class(confusion: torch.Tensor) -> torch.Tensor:
    """Return the share of each class that was recognised, (K,); NaN if it is absent."""
    return confusion.diagonal() / confusion.sum(1)


def balanced_accuracy(confusion: torch.Tensor) -> float:
    """Return the mean recall over the classes present."""
    return recall_per_class(confusion).nanmean().item()


def f1_per_class(confusion: torch.Tensor) -> torch.Tensor:
    """Return F1 of each class, (K,); NaN if it is neither present nor predicted."""
    return 2 * confusion.diagonal() / (confusion.sum(0) + confusion.sum(1))


def macro_f1(confusion: torch.Tensor) -> float:
    """Return the mean F1 over the classes present or predicted."""
    return f1_per_class(confusion).nanmean().item()


def group_recall(confusion: torch.Tensor, classes: list[int]) -> float:
    """Return the mean recall over those of some classes that are present."""
    return recall_per_class(confusion)[classes].nanmean().item()
