"""Collation of images into a batch."""

from mmengine.dataset import default_collate, pseudo_collate

from mmimbal.datasets.views import one_row_per_view
from mmimbal.registry import FUNCTIONS


@FUNCTIONS.register_module()
def stack_images(samples: list[dict], _scope_: str | None = None) -> dict:
    """Stack the images of a batch into one tensor if they have the same size.

    A worker sends one tensor much faster than a list of images, the default of
    mmengine, and a GPU normalizes it in one step. The values are the same.

    Args:
        samples: N dicts with ``inputs``, (C, H, W) or a list of V views, and
            ``data_samples``.
        _scope_: Scope of an inherited config. mmengine passes it; it is not used.

    Returns:
        ``inputs``, (N, C, H, W) or a list of V such tensors, and ``data_samples``, a
        list of N. If the sizes differ, the result of ``pseudo_collate``. If some
        images have one view and others several (:class:`mmimbal.datasets.ViewsByLoss`),
        there is one row for each view; see
        :func:`mmimbal.datasets.views.one_row_per_view`.
    """
    if len({isinstance(sample['inputs'], list) for sample in samples}) == 2:
        inputs, data_samples = one_row_per_view(
            [sample['inputs'] for sample in samples],
            [sample['data_samples'] for sample in samples],
        )
        samples = [
            dict(inputs=image, data_samples=sample)
            for image, sample in zip(inputs, data_samples, strict=True)
        ]
    views = [
        sample['inputs'] if isinstance(sample['inputs'], list) else [sample['inputs']]
        for sample in samples
    ]
    same_size = all(
        len({image.shape for image in images}) == 1
        for images in zip(*views, strict=True)
    )
    return default_collate(samples) if same_size else pseudo_collate(samples)
