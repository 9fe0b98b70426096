"""Measures of a collapse that the usual ones do not see: who the neighbours are."""

import torch

from mmimbal.models.losses.by_class import sum_over_classes
from mmimbal.models.losses.contrast import cosine_logits_of_others


@torch.no_grad()
def sample_alignment(
    embeddings: torch.Tensor, labels: torch.Tensor, images: torch.Tensor
) -> torch.Tensor:
    """Measure how often the nearest row is another view of the same image (SAA).

    Low where the images of a class fall together. Averaged within each class, then over
    classes, so that a common class does not hide a rare one.
    https://arxiv.org/abs/2503.17024

    Args:
        embeddings: (B, D); they are normalized here.
        labels: (B,).
        images: Number of the image of each row, (B,). Rows without a second view do not
            count.

    Returns:
        A scalar in 0..1; NaN without second views.
    """
    cosines = cosine_logits_of_others(embeddings, temperature=1.0)
    view = (images[:, None] == images).fill_diagonal_(False)
    nearest = cosines.argmax(1)
    aligned = view.gather(1, nearest[:, None])[:, 0].to(cosines)
    return _mean_over_classes(aligned, labels, view.any(1).to(cosines))


@torch.no_grad()
def class_alignment(
    embeddings: torch.Tensor, labels: torch.Tensor, share: float = 0.05
) -> torch.Tensor:
    """Measure the share of neighbours of the same class (CAC).

    Low for a class whose images lie among those of others. Averaged within each class,
    then over classes. https://arxiv.org/abs/2503.17024

    Args:
        embeddings: (B, D); they are normalized here.
        labels: (B,).
        share: Number of neighbours, as a share of the other rows; at least one.

    Returns:
        A scalar in 0..1; NaN if there is one row.
    """
    if len(labels) < 2:
        return embeddings.new_tensor(torch.nan)
    cosines = cosine_logits_of_others(embeddings, temperature=1.0)
    neighbours = cosines.topk(max(1, int(share * (len(labels) - 1))), dim=1).indices
    same = (labels[neighbours] == labels[:, None]).to(cosines).mean(1)
    return _mean_over_classes(same, labels, torch.ones_like(same))


def _mean_over_classes(
    values: torch.Tensor, labels: torch.Tensor, counted: torch.Tensor
) -> torch.Tensor:
    """Return the mean of the class means of values, (B,), where ``counted`` is 1.

    NaN if it is 0 everywhere.
    """
    sums, counts = sum_over_classes(labels, values * counted, counted)
    return (sums / counts.clamp(min=1)).sum() / (counts > 0).sum()
