"""Masks of positive and negative pairs."""

import torch


def pair_masks(
    labels: torch.Tensor,
    indices_tuple: tuple | None = None,
    ref_labels: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return masks of the positive and of the negative pairs.

    Args:
        labels: Labels of the anchors, (B,).
        indices_tuple: Pairs of a miner of pytorch-metric-learning: anchors and
            positives, (P,) each, anchors and negatives, (Q,) each. All pairs if
            ``None``.
        ref_labels: Labels of the images that anchors are compared with, (M,). If
            ``None``, the batch, without pairs of an image with itself.

    Returns:
        Two masks, (B, M), bool.
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
    """Raise a ValueError if a loss without miner is given mined pairs."""
    if indices_tuple is not None:
        raise ValueError(
            f'{type(loss).__name__} takes no miner: remove the miner from the head'
        )
