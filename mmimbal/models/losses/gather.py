"""Gathering embeddings over ranks, with gradients."""

import torch
import torch.distributed as dist
from mmengine.dist import all_gather, get_rank, get_world_size


def gather_embeddings(embeddings: torch.Tensor) -> torch.Tensor:
    """Concatenate the embeddings of all ranks; gradients flow back to each.

    A loss of the result, computed on every rank, has after DDP's averaging the
    parameter gradients of one process on the whole batch.

    Args:
        embeddings: (N, D) on each rank, N equal on all.

    Returns:
        (W * N, D), the same on all ranks, in the order of ranks.
    """
    return embeddings if get_world_size() == 1 else _Gather.apply(embeddings)


def gather_labels(labels: torch.Tensor) -> torch.Tensor:
    """Concatenate the labels of all ranks: (N,) on each becomes (W * N,)."""
    return torch.cat(all_gather(labels))


class _Gather(torch.autograd.Function):
    """All-gather whose backward sums over ranks what each wants of this one."""

    @staticmethod
    def forward(ctx, embeddings: torch.Tensor) -> torch.Tensor:
        return torch.cat(all_gather(embeddings.contiguous()))

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> torch.Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient.chunk(get_world_size())[get_rank()]
