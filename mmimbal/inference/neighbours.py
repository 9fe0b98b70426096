"""The nearest training images of an image, by the embeddings of a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional as F

from mmimbal.evaluation.predictions import load_predictions

CHUNK = 100_000


@dataclass(frozen=True)
class Neighbours:
    """Images that are searched.

    Attributes:
        embeddings: Embeddings of unit length, (N, D).
        files: Their paths, N.
        labels: Names of their classes, N.
        count: Neighbours of each image, n.
    """

    embeddings: torch.Tensor
    files: Sequence[str]
    labels: Sequence[str]
    count: int

    @property
    def columns(self) -> list[str]:
        """Names of the cells of an image, 3n."""
        return [
            f'neighbour {number}{what}'
            for number in range(1, self.count + 1)
            for what in ('', ': class', ': cosine')
        ]

    def cells(self, embeddings: torch.Tensor) -> list[list[str]]:
        """Return file, class and cosine of the nearest images.

        Args:
            embeddings: Outputs of backbone and neck, (B, D).

        Returns:
            3n cells for each of the B images, the nearest first.

        Raises:
            ValueError: If the index has embeddings of another size.
        """
        if embeddings.shape[1] != self.embeddings.shape[1]:
            raise ValueError(
                f'embeddings of the index have {self.embeddings.shape[1]} numbers, '
                f'those of the model {embeddings.shape[1]}: write the index with the '
                'same model'
            )
        cosines, found = nearest(embeddings, self.embeddings, self.count)
        return [
            [
                cell
                for cosine, image in zip(*row, strict=True)
                for cell in (self.files[image], self.labels[image], f'{cosine:.4f}')
            ]
            for row in zip(cosines.tolist(), found.tolist(), strict=True)
        ]


def load_neighbours(
    index: Path, classes: Sequence[str], count: int, model_hash: str
) -> Neighbours:
    """Load the embeddings that ``tools/test.py --embeddings`` has written.

    Args:
        index: The ``.npz`` file.
        classes: Class names of the model, K.
        count: Neighbours of each image, n.
        model_hash: Hash of the model that will search.

    Raises:
        ValueError: If the file has no embeddings, other classes, or fewer images; or
            is known to be of another model.
    """
    found = load_predictions(index)
    if found.embeddings is None:
        raise ValueError(
            f'{index} has no embeddings: write it with '
            'tools/test.py --split train --embeddings'
        )
    if tuple(found.classes) != tuple(classes):
        raise ValueError(
            f'{index} has the classes {", ".join(found.classes)}, the model '
            f'{", ".join(classes)}'
        )
    made_by = found.about.get('model')
    if made_by and made_by != model_hash:
        raise ValueError(
            f'{index} was written by another model ({found.about.get("checkpoint")}): '
            'write the index with this model'
        )
    if not 1 <= count <= len(found.files):
        raise ValueError(
            f'{count} neighbours of {len(found.files)} images: choose 1 to '
            f'{len(found.files)}'
        )
    embeddings = F.normalize(torch.from_numpy(found.embeddings))
    labels = [found.classes[label] for label in found.labels]
    return Neighbours(embeddings, found.files.tolist(), labels, count)


def nearest(
    queries: torch.Tensor, references: torch.Tensor, count: int, chunk: int = CHUNK
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the nearest references by cosine.

    Args:
        queries: Vectors of any length but 0, (B, D).
        references: Vectors of unit length, (N, D), on any device.
        count: Number of references, n, at most N.
        chunk: References compared at once, which bounds the memory.

    Returns:
        Cosines and indices, (B, n), the nearest first.
    """
    queries = F.normalize(queries).to(references)
    cosines = queries.new_empty(len(queries), 0)
    indices = torch.empty(len(queries), 0, dtype=torch.long, device=queries.device)
    for start in range(0, len(references), chunk):
        more = queries @ references[start : start + chunk].T
        places = torch.arange(start, start + more.shape[1], device=more.device)
        cosines = torch.cat([cosines, more], dim=1)
        indices = torch.cat([indices, places.expand(len(queries), -1)], dim=1)
        cosines, order = cosines.topk(min(count, cosines.shape[1]), dim=1)
        indices = indices.gather(1, order)
    return cosines, indices
