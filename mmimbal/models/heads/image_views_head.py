"""A head for metric losses that tell views of one image from other images."""

import torch
from mmpretrain.structures import DataSample

from mmimbal.models.heads.metric_learning_head import MetricLearningClsHead
from mmimbal.models.losses.gather import gather_without_gradient
from mmimbal.models.needs import VIEWS
from mmimbal.registry import MODELS


@MODELS.register_module()
class ImageViewsClsHead(MetricLearningClsHead):
    """Tell the metric loss which rows of a batch are views of one image.

    The loss is called with ``images``, the ``sample_idx`` of each row, which
    MMPretrain's ``PackInputs`` keeps. Without it all rows are images of their own.
    Arguments are as in :class:`MetricLearningClsHead`.

    Raises:
        ValueError: If no image of a batch has a second view, or two rows of one index
            are of different files.
    """

    gives = ('images',)

    @property
    def needs(self) -> tuple[str, ...]:
        """What the head needs in training; see :mod:`mmimbal.models.needs`."""
        return (*super().needs, *([VIEWS] if self.metric_weight.start else []))

    def loss_arguments(
        self, features: torch.Tensor, samples: list[DataSample]
    ) -> dict[str, torch.Tensor | None]:
        """Return the numbers of the images of all ranks, (B,), if they are known."""
        numbers = image_numbers(samples)
        if numbers is None:
            return dict(images=None)
        self._check_views(numbers)
        images = torch.tensor(numbers).to(features.device, non_blocking=True)
        return dict(images=gather_without_gradient(images))

    def _check_views(self, numbers: list[int]) -> None:
        if len(set(numbers)) == len(numbers):
            raise ValueError(
                f'{type(self.metric_loss).__name__} needs two views of an image in a '
                'batch, but there is one of each: set views = '
                "dict(type='MultiView', num_views=2) in the method, or "
                'mmimbal.ViewsByLoss'
            )


def image_numbers(samples: list[DataSample]) -> list[int] | None:
    """Return the ``sample_idx`` of samples, or ``None`` if one has none.

    Raises:
        ValueError: If two samples of one index are of different files.
    """
    numbers = [sample.get('sample_idx') for sample in samples]
    if not numbers or None in numbers:
        return None
    files: dict[int, str | None] = {}
    for number, sample in zip(numbers, samples, strict=True):
        file = sample.get('img_path')
        if files.setdefault(number, file) != file:
            raise ValueError(
                f'rows of sample_idx {number} are of different files, {files[number]} '
                f'and {file}, so they are not views of one image: wrappers that change '
                'indices, such as ConcatDataset, do not work with ImageViewsClsHead'
            )
    return [int(number) for number in numbers]
