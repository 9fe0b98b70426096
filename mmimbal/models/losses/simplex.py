"""Points that are spread evenly on the sphere, one for each class."""

import math

import torch
import torch.nn.functional as F


def spread_points(count: int, size: int, seed: int = 0) -> torch.Tensor:
    """Return unit vectors that are as far from each other as they can be.

    Up to D + 1 of them are the corners of a simplex, with equal cosines of
    -1 / (K - 1), turned at random. More are found by gradient descent on the
    uniformity loss of https://arxiv.org/abs/2005.10242.

    Args:
        count: Number of vectors, K, at least 2.
        size: Size D of a vector.
        seed: Seed of the rotation; the global random numbers are not used.

    Returns:
        (K, D), float32.

    Raises:
        ValueError: If there are fewer than 2 vectors, or the size is below 1.
    """
    if count < 2 or size < 1:
        raise ValueError(
            f'{count} points of size {size}: at least 2 classes are needed, and a size '
            'of at least 1'
        )
    generator = torch.Generator().manual_seed(seed)
    if count > size + 1:
        return _descend(torch.randn(count, size, generator=generator))
    rotation = torch.randn(size, size, generator=generator, dtype=torch.float64)
    rotation = torch.linalg.qr(rotation).Q
    centred = torch.eye(count, dtype=torch.float64) - 1 / count
    # Coordinates of the corners in the K - 1 directions in which they lie.
    directions = torch.linalg.eigh(centred).eigenvectors[:, 1:]
    corners = centred @ directions * math.sqrt(count / (count - 1))
    return (corners @ rotation[: count - 1]).float()


def _descend(points: torch.Tensor, steps: int = 500) -> torch.Tensor:
    """Move points, (K, D), apart on the sphere; pairs that are nearest weigh most."""
    points = points.double().requires_grad_()
    optimizer = torch.optim.Adam([points], lr=0.05)
    itself = torch.eye(len(points), dtype=torch.bool)
    for step in range(steps):
        sharpness = 2 + 30 * step / steps
        optimizer.zero_grad()
        with torch.enable_grad():
            places = F.normalize(points)
            cosines = (places @ places.T).masked_fill(itself, -torch.inf)
            (sharpness * cosines).flatten().logsumexp(0).div(sharpness).backward()
        optimizer.step()
    return F.normalize(points.detach()).float()
