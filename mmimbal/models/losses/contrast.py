"""What contrastive losses share: cosines of all pairs, means over positives."""

import torch
from torch.nn import functional as F


def cosine_logits_of_others(
    embeddings: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return cosines / temperature of all pairs, (B, B); of a row with itself, lowest.

    The lowest number in place of -inf keeps the softmax of a single row finite.
    """
    directions = F.normalize(embeddings)
    cosines = directions @ directions.T / temperature
    itself = torch.eye(len(cosines), dtype=torch.bool, device=cosines.device)
    return cosines.masked_fill(itself, torch.finfo(cosines.dtype).min / 2)


def mean_over_positives(log_prob: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """Return the mean of -log_prob, (B, M), over the positives of each row, (B,).

    It is 0 for a row without a positive.
    """
    chosen = torch.where(positive, log_prob, 0.0)
    return -chosen.sum(1) / positive.sum(1).clamp(min=1)
