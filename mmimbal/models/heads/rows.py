"""Which images of a batch each loss sees."""

import torch
from mmpretrain.structures import DataSample
from torch import nn

from mmimbal.datasets.views import is_for_metric_loss
from mmimbal.models.needs import WITHOUT_MIXTURES


def rows_of_losses(
    samples: list[DataSample], natural_size: int | None, separate_views: bool
) -> tuple[slice, slice]:
    """Return the rows of a batch that cross-entropy and the metric loss see.

    Args:
        samples: A sample for each row.
        natural_size: Number of images that cross-entropy sees; all if ``None``. Without
            ``separate_views``, the metric loss sees all rows.
        separate_views: Whether the metric loss sees the views that
            :class:`mmimbal.datasets.ViewsByLoss` has made for it, and cross-entropy all
            other images.

    Raises:
        ValueError: If the batch is not as ``separate_views`` says.
    """
    marked = [is_for_metric_loss(sample) for sample in samples]
    if not separate_views:
        if any(marked):
            raise ValueError(
                'the batch has views for the metric loss alone, but the head has '
                'separate_views=False: set separate_views=True'
            )
        return slice(natural_size), slice(None)
    first = len(marked) - sum(marked)
    if not first or not all(marked[first:]):
        raise ValueError(
            'separate_views=True needs images for cross-entropy and, after them, views '
            f'for the metric loss, but {sum(marked)} of {len(marked)} rows are for the '
            'metric loss and are not at the end. Use mmimbal.stack_images as collate_fn'
        )
    return slice(first), slice(first, None)


def take(values: torch.Tensor, rows: slice) -> torch.Tensor:
    """Return some rows; without an operation, if these are all."""
    all_rows = range(len(values))
    return values if all_rows[rows] == all_rows else values[rows]


def labels_of(samples: list[DataSample]) -> torch.Tensor:
    """Return the labels of samples, (N,)."""
    return torch.cat([sample.gt_label for sample in samples])


def check_features(features: torch.Tensor, head: nn.Module) -> None:
    """Raise a ValueError if features are not one vector of the right size per image."""
    kind, size = type(features).__name__, head.in_channels
    if isinstance(features, torch.Tensor):
        if features.shape[1:] == (size,):
            return
        kind = ' x '.join(map(str, features.shape[1:])) or 'one number'
    raise ValueError(
        f'{type(head).__name__} has in_channels={size} and needs one vector for each '
        f'image, but backbone and neck give {kind}. Set in_channels, add a neck such '
        "as GlobalAveragePooling, or set out_type='avg_featmap' in a vision transformer"
    )


def check_labels(
    labels: torch.Tensor, data_samples: list[DataSample], num_classes: int
) -> None:
    """Raise a ValueError if images have several labels, or one outside 0..K-1.

    A GPU would have to wait, so there this is left to cross-entropy, which stops too,
    and to ``mmimbal.ClassCountsHook``, which compares the numbers of classes.
    """
    if len(labels) != len(data_samples):
        raise ValueError(
            f'{len(data_samples)} images have {len(labels)} labels, but the head needs '
            'one label per image'
        )
    if not labels.is_cpu:
        return
    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        index = int(outside.nonzero()[0])
        image = data_samples[index].get('img_path', f'image {index} of the batch')
        raise ValueError(
            f'label {labels[index]} of {image} is outside the {num_classes} classes of '
            'the head: set num_classes to that of the dataset'
        )


def check_for_metric_loss(samples: list[DataSample]) -> None:
    """Check that the metric loss sees images, with one label each.

    Raises:
        ValueError: If there are none, or they are mixed.
    """
    if not samples:
        raise ValueError(
            'the batch has no views for the metric loss, but the head has '
            'separate_views=True. Use mmimbal.ViewsBatchSampler, or '
            'mmimbal.PKBatchSampler with separate_views=True, and mmimbal.ViewsByLoss '
            'in the pipeline. Wrappers that change indices, such as ConcatDataset, do '
            'not work with them'
        )
    if 'gt_score' in samples[0]:
        raise ValueError(
            'a metric loss needs one label per image, but the batch was mixed '
            f'(Mixup, CutMix, ...): {WITHOUT_MIXTURES}, and remove to_onehot=True from '
            'data_preprocessor; or give the metric loss views of its own: '
            'separate_views=True with mmimbal.ViewsByLoss and '
            'mmimbal.MultiViewDataPreprocessor'
        )
