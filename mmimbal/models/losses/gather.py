"""Gathering embeddings over ranks, with gradients."""

import torch
import torch.distributed as dist
from mmengine.dist import all_gather, get_rank, get_world_size


def gather_embeddings(embeddings: torch.Tensor) -> torch.Tensor:
    """Concatenate the embeddings of all ranks, with gradients to all ranks.

    Every rank computes the same loss from the result. After DDP has averaged, parameter
    gradients equal those of one process on the batch of all ranks.

    Args:
        embeddings: (N, D) on each rank, with equal N.

    Returns:
        (W * N, D), the same on all W ranks, in the order of ranks.
    """
    return embeddings if get_world_size() == 1 else _Gather.apply(embeddings)


def gather_without_gradient(values: torch.Tensor) -> torch.Tensor:
    """Concatenate values of all ranks, such as labels: (N, ...) to (W * N, ...)."""
    if get_world_size() == 1:
        return values
    return torch.cat(all_gather(values.contiguous()))


class _Gather(torch.autograd.Function):
    """All-gather; its backward sums the gradients of all ranks."""

    @staticmethod
    def forward(ctx, embeddings: torch.Tensor) -> torch.Tensor:
        return torch.cat(all_gather(embeddings.contiguous()))

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> torch.Tensor:
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient)
        return gradient.chunk(get_world_size())[get_rank()]
