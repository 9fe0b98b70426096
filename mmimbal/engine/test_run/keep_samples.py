"""Write metrics or data samples of a test run, in the formats of MMPretrain's tools."""

from collections.abc import Sequence
from pathlib import Path

import mmengine
import numpy as np
import torch
from mmengine.evaluator import BaseMetric

from mmimbal.files.atomic import atomic_write

FORMATS = {
    '.json': 'json',
    '.yaml': 'yaml',
    '.yml': 'yaml',
    '.pkl': 'pkl',
    '.pickle': 'pkl',
}


class KeepSamples(BaseMetric):
    """Keep the data sample of each image, instead of computing a metric.

    Attributes:
        samples: After the run, on the main rank: one dict for each image
            (``pred_score``, ``pred_label``, ``gt_label``, ``img_path``, ...).
    """

    default_prefix = ''

    def __init__(self) -> None:
        super().__init__()
        self.samples: list[dict] = []

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Keep samples, with tensors on the CPU."""
        for sample in data_samples:
            self.results.append({key: to_cpu(value) for key, value in sample.items()})

    def compute_metrics(self, results: list[dict]) -> dict:
        """Keep the samples of all ranks; there are no metrics."""
        self.samples = results
        return {}


def to_cpu(value):
    """Move a tensor to the CPU; return other values unchanged."""
    return value.cpu() if isinstance(value, torch.Tensor) else value


def write(content: dict | list[dict], file: Path) -> None:
    """Write metrics or samples; the format follows from the file extension.

    A pickle contains tensors and arrays. In other formats they become lists of numbers.
    """
    file_format = FORMATS[file.suffix]
    options = {}
    if file_format != 'pkl':
        content = as_plain(content)
        options = dict(indent=2)
    with atomic_write(file) as unfinished:
        mmengine.dump(content, unfinished, file_format=file_format, **options)


def as_plain(value):
    """Replace tensors, arrays and tuples with lists, also inside dicts and lists."""
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, dict):
        return {key: as_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(item) for item in value]
    return value
