"""Precision of the numbers that a loss computes with."""

import torch


def in_full_precision(embeddings: torch.Tensor) -> torch.Tensor:
    """Convert half precision to float32; keep float32 and float64."""
    return embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
