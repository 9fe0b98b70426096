"""A head for metric losses that tell views of one image from other images."""

import torch
from mmpretrain.structures import DataSample

from mmimbal.models.heads.metric_learning_head import MetricLearningClsHead
from mmimbal.models.heads.rows import labels_of, rows_of_losses
from mmimbal.models.losses.gather import gather_labels
from mmimbal.registry import MODELS


@MODELS.register_module()
class ImageViewsClsHead(MetricLearningClsHead):
    """Tell the metric loss which rows of a batch are views of one image.

    The loss is called with ``images``, the ``sample_idx`` of each row, which
    MMPretrain's ``PackInputs`` keeps. Without it all rows are images of their own. What
    the loss keeps in ``monitors``, a dict of scalars, is logged. Arguments are as in
    :class:`MetricLearningClsHead`.

    Raises:
        ValueError: If two rows of one index have different labels.
    """

    _images: torch.Tensor | None = None

    def loss(
        self, feats: tuple[torch.Tensor], data_samples: list[DataSample], **kwargs
    ) -> dict[str, torch.Tensor]:
        """Compute the losses; see the parent class."""
        if self.metric_weight.start:
            rows = rows_of_losses(data_samples, self.natural_size, self.separate_views)
            self._images = numbers_of(data_samples[rows[1]])
        losses = super().loss(feats, data_samples, **kwargs)
        if 'loss_metric' in losses:
            losses |= getattr(self.metric_loss, 'monitors', {})
        return losses

    def compute_metric_loss(
        self, embeddings: torch.Tensor, labels: torch.Tensor, mined: tuple | None
    ) -> torch.Tensor:
        """Compute the metric loss; see the parent class for the arguments."""
        images = None if self._images is None else gather_labels(self._images)
        return self.metric_loss(embeddings, labels, mined, images=images)


def numbers_of(samples: list[DataSample]) -> torch.Tensor | None:
    """Return the ``sample_idx`` of samples, (N,), or ``None`` if one has none.

    Raises:
        ValueError: If two samples of one index have different labels.
    """
    numbers = [sample.get('sample_idx') for sample in samples]
    if not numbers or None in numbers:
        return None
    labels = labels_of(samples)
    images = torch.tensor([int(n) for n in numbers], device=labels.device)
    of_image, image_of = images.unique(return_inverse=True)
    first = labels.new_full((len(of_image),), -1).scatter(0, image_of, labels)
    differs = first[image_of] != labels
    if differs.any():
        raise ValueError(
            f'rows of sample_idx {int(images[differs][0])} have different labels, so '
            'they are not views of one image: wrappers that change indices, such as '
            'ConcatDataset, do not work with ImageViewsClsHead'
        )
    return images
