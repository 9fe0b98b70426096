"""Several augmented views of each image."""

import torch
from mmpretrain.models.utils import ClsDataPreprocessor
from mmpretrain.structures import DataSample

from mmimbal.datasets.views import is_for_metric_loss, one_row_per_view
from mmimbal.registry import MODELS


@MODELS.register_module()
class MultiViewDataPreprocessor(ClsDataPreprocessor):
    """Turn a batch of images with several views into a batch of single images.

    For pipelines with MMPretrain's ``MultiView`` or :class:`mmimbal.ViewsByLoss`. A
    batch of single images is not changed. The batch holds single images, then the first
    view of all others, then their second view, and so on; each view has the label of
    its image. Batch augmentation (Mixup, CutMix, ...) leaves views for the metric loss
    alone. Works with ``default_collate`` (``MultiView`` only), ``pseudo_collate`` and
    ``mmimbal.stack_images``.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """Make one row of each view, and process the rows like any batch.

        Args:
            data: ``inputs``: N images, V lists or tensors of N images, or N items of
                which some are an image and some a list of views; ``data_samples``, a
                list of N.
            training: Whether to apply batch augmentation.

        Returns:
            ``inputs``, (R, C, H, W), and ``data_samples``, a list of R.
        """
        samples = data.get('data_samples')
        if samples is None:
            return super().forward(data, training)
        data = dict(data, **rows_of(data['inputs'], samples))
        samples = data['data_samples']
        for_metric_loss = [sample for sample in samples if is_for_metric_loss(sample)]
        mixes = bool(for_metric_loss and training and self.batch_augments)
        data = super().forward(data, training=training and not mixes)
        for sample in for_metric_loss:
            sample.pop('gt_score', None)  # of to_onehot
        if not mixes:
            return data
        inputs, mixed = data['inputs'], len(samples) - len(for_metric_loss)
        scores = torch.stack([sample.gt_score for sample in samples[:mixed]])
        images, scores = self.batch_augments(inputs[:mixed], scores)
        for sample, score in zip(samples[:mixed], scores, strict=True):
            sample.set_gt_score(score)
        return dict(inputs=torch.cat([images, inputs[mixed:]]), data_samples=samples)


def rows_of(inputs: torch.Tensor | list, samples: list[DataSample]) -> dict:
    """Return ``inputs`` and ``data_samples`` with one row for each view."""
    if isinstance(inputs, torch.Tensor):  # single images, stacked
        return dict(inputs=inputs, data_samples=samples)
    if len({type(views) for views in inputs}) == 2:  # one view and several
        inputs, samples = one_row_per_view(inputs, samples)
    elif not is_image(inputs[0]):  # V batches of N images
        samples = [sample.clone() for _ in inputs for sample in samples]
        inputs = join(inputs)
    return dict(inputs=inputs, data_samples=samples)


def join(views: list) -> torch.Tensor | list[torch.Tensor]:
    """Concatenate V batches of images: tensors to a tensor, others to a list."""
    are_stacked = all(isinstance(view, torch.Tensor) for view in views)
    if are_stacked and len({view.shape[1:] for view in views}) == 1:
        return torch.cat(views)
    return [image for view in views for image in view]


def is_image(item: torch.Tensor | list) -> bool:
    """Return whether an item of a batch is an image, (C, H, W), not several."""
    return isinstance(item, torch.Tensor) and item.dim() == 3
