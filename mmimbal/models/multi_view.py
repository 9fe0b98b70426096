"""Several augmented views of each image."""

import torch
from mmpretrain.models.utils import ClsDataPreprocessor

from mmimbal.registry import MODELS


@MODELS.register_module()
class MultiViewDataPreprocessor(ClsDataPreprocessor):
    """Concatenate the V views of N images into one batch of V * N images.

    For pipelines with MMPretrain's ``MultiView``. A batch of single images is not
    changed. The batch holds the first view of all images, then the second view, and so
    on; each view has the label of its image. Works with ``default_collate``,
    ``pseudo_collate`` and ``mmimbal.stack_images``.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """Concatenate the views, and process them like any batch.

        Args:
            data: ``inputs``, V lists or tensors of N images, and ``data_samples``, a
                list of N.
            training: Whether to apply batch augmentation.

        Returns:
            ``inputs``, (V * N, C, H, W), and ``data_samples``, a list of V * N.
        """
        views = data['inputs']
        if not are_single_images(views):
            data = dict(
                data,
                inputs=join(views),
                data_samples=[
                    sample.clone() for _ in views for sample in data['data_samples']
                ],
            )
        return super().forward(data, training)


def join(views: list) -> torch.Tensor | list[torch.Tensor]:
    """Concatenate V batches of images: tensors to a tensor, others to a list."""
    are_stacked = all(isinstance(view, torch.Tensor) for view in views)
    if are_stacked and len({view.shape[1:] for view in views}) == 1:
        return torch.cat(views)
    return [image for view in views for image in view]


def are_single_images(inputs: torch.Tensor | list) -> bool:
    """Return whether a batch holds N images, not V views of N images."""
    if isinstance(inputs, torch.Tensor):
        return True
    return isinstance(inputs[0], torch.Tensor) and inputs[0].dim() == 3
