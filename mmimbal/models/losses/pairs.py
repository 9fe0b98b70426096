"""Which pairs of a batch a loss looks at."""

import torch


def pair_masks(
    labels: torch.Tensor,
    indices_tuple: tuple | None = None,
    ref_labels: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which pairs are of one class, and which of two.

    Args:
        labels: Of the anchors, (B,).
        indices_tuple: Anchors and positives, anchors and negatives, four of (P,) and
            (P,), as pair miners of pytorch-metric-learning return them; all pairs if
            ``None``.
        ref_labels: Of what anchors are compared with, (M,); the batch if ``None``, no
            image with itself.

    Returns:
        Two of (B, M), bool.
    """
    others = labels if ref_labels is None else ref_labels
    if indices_tuple is None:
        same = labels[:, None] == others
        negative = ~same
        return (same.fill_diagonal_(False) if ref_labels is None else same), negative
    masks = torch.zeros(
        2, len(labels), len(others), dtype=torch.bool, device=labels.device
    )
    anchors, positives, negative_anchors, negatives = indices_tuple
    masks[0, anchors, positives] = True
    masks[1, negative_anchors, negatives] = True
    return masks[0], masks[1]


def refuse_miner(loss: torch.nn.Module, indices_tuple: tuple | None) -> None:
    """Raise a ValueError if a loss that chooses its own pairs is given some."""
    if indices_tuple is not None:
        raise ValueError(
            f'{type(loss).__name__} takes no miner: remove the miner from the head'
        )
