"""Metrics as reductions of a confusion matrix.

A confusion matrix is (K, K), rows true classes, columns predicted ones. Classes that
do not occur are left out of averages as scikit-learn does. All results are in 0..1.
"""

from collections.abc import Mapping, Sequence

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


def summarise(
    confusion: torch.Tensor,
    classes: Sequence[str],
    groups: Mapping[str, list[int]] | None = None,
) -> dict[str, float]:
    """Return the metrics of a confusion matrix, (K, K), in %.

    Args:
        confusion: The matrix.
        classes: K names.
        groups: Indices of the classes of groups, such as ``tail``.

    Returns:
        ``balanced_accuracy``, ``macro_f1``, ``<group>_recall`` and ``recall/<class>``;
        groups and classes without images are left out.
    """
    recalls = recall_per_class(confusion).tolist()
    metrics = {
        'balanced_accuracy': balanced_accuracy(confusion),
        'macro_f1': macro_f1(confusion),
        **{
            f'{name}_recall': group_recall(confusion, members)
            for name, members in (groups or {}).items()
            if members
        },
        **{f'recall/{name}': r for name, r in zip(classes, recalls, strict=True)},
    }
    return {name: 100 * value for name, value in metrics.items() if value == value}
