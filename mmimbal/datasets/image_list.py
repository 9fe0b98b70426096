"""Annotations of images, kept in arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class ImageList(Sequence):
    """A list of dicts, one per image, kept in arrays that processes can share.

    Attributes:
        root: The folder of the images.
        labels: Class index of each image, (N,).
        files: Path of each image, relative to ``root``, (N,).
        groups: Group of each image, (N,).
    """

    root: str
    labels: np.ndarray
    files: pa.Array
    groups: pa.Array

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index):
        """Return ``img_path``, ``gt_label`` and ``group``, or a list for a slice."""
        if isinstance(index, int | np.integer):
            return dict(
                img_path=f'{self.root}/{self.files[index]}',
                gt_label=int(self.labels[index]),
                group=str(self.groups[index]),
            )
        chosen = pa.array(np.arange(len(self))[index])
        columns = (self.files.take(chosen), self.groups.take(chosen))
        return ImageList(self.root, self.labels[index], *columns)
