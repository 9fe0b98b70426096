"""Several augmented views of each image."""

import torch
from mmpretrain.models.utils import ClsDataPreprocessor

from mmimbal.registry import MODELS


@MODELS.register_module()
class MultiViewDataPreprocessor(ClsDataPreprocessor):
    """Make the V views of N images one batch of V * N images.

    For pipelines with MMPretrain's ``MultiView``; batches of single images pass as they
    are. The batch holds the first view of all images, then the second, and so on, each
    with the labels of its image. Both collate functions work.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """Concatenate the views, and process them as any batch.

        Args:
            data: ``inputs``, V lists or batches of N images, and ``data_samples``, N of
                them.
            training: Whether to apply batch augmentation.

        Returns:
            ``inputs``, (V * N, C, H, W), and ``data_samples``, V * N of them.
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
    """Return all images of V batches, view after view; one tensor if they are."""
    are_stacked = all(isinstance(view, torch.Tensor) for view in views)
    if are_stacked and len({view.shape[1:] for view in views}) == 1:
        return torch.cat(views)
    return [image for view in views for image in view]


def are_single_images(inputs: torch.Tensor | list) -> bool:
    """Return whether a batch holds N images, and not V views of N."""
    if isinstance(inputs, torch.Tensor):
        return True
    return isinstance(inputs[0], torch.Tensor) and inputs[0].dim() == 3
