"""Other views of images for the metric loss than for cross-entropy.

A batch sampler marks the images of the metric loss: their index is a
:class:`MetricIndex`. :class:`ViewsByLoss` in the pipeline reads the mark, and so does
the head, since MMPretrain's ``PackInputs`` keeps the index as ``sample_idx``.
"""

from collections.abc import Iterator, Sequence

from mmcv.transforms import BaseTransform, Compose
from mmpretrain.datasets import KFoldDataset, MultiView
from mmpretrain.structures import DataSample
from torch.utils.data import Dataset

from mmimbal.datasets.whole_number import whole_number
from mmimbal.registry import TRANSFORMS

# Packages whose transforms make one view, but for MultiView and ViewsByLoss.
KNOWN = ('mmcv.', 'mmengine.', 'mmpretrain.', 'mmimbal.', 'torchvision.')


class MetricIndex(int):
    """Index of an image that only the metric loss will see."""


def is_marked(index: int | None) -> bool:
    """Return whether an index is that of an image for the metric loss alone."""
    return isinstance(index, MetricIndex)


def is_for_metric_loss(sample: DataSample) -> bool:
    """Return whether a sample of a batch is for the metric loss alone."""
    return is_marked(sample.get('sample_idx'))


@TRANSFORMS.register_module()
class ViewsByLoss(BaseTransform):
    """Augment an image for the loss that will see it.

    For a batch sampler that marks images: :class:`mmimbal.datasets.ViewsBatchSampler`,
    or :class:`mmimbal.datasets.PKBatchSampler` with ``separate_views``.

    Args:
        transforms: One list of transforms, for all views, as in MMPretrain's
            ``MultiView``.
        strong: Transforms that follow for cross-entropy, e.g. ``RandAugment``.
        metric_views: Number of views of each image for the metric loss.

    Raises:
        ValueError: If ``metric_views`` is no whole number from 1 on, or there is not
            one list.
    """

    def __init__(
        self,
        transforms: list[list[dict]],
        strong: Sequence[dict] = (),
        metric_views: int = 2,
    ) -> None:
        metric_views = whole_number('metric_views', metric_views)
        is_list = isinstance(transforms, list | tuple) and len(transforms) == 1
        if not is_list or not isinstance(transforms[0], list | tuple):
            raise ValueError(
                f'transforms={transforms!r} of ViewsByLoss must be one list of '
                'transforms in a list, as in MultiView: [[dict(type=...), ...]]'
            )
        if not isinstance(strong, list | tuple):
            raise ValueError(f'strong={strong!r} of ViewsByLoss must be a list')
        self.cross_entropy = Compose([*transforms[0], *strong])
        self.metric = MultiView(transforms, metric_views)

    def transform(self, results: dict) -> dict:
        """Return one view for cross-entropy, or a list of views for the metric loss."""
        marked = is_marked(results.get('sample_idx'))
        return self.metric(results) if marked else self.cross_entropy(results)

    def __repr__(self) -> str:
        """Name the transforms."""
        return f'ViewsByLoss({self.cross_entropy}, {self.metric})'


def number_of_views(dataset: Dataset) -> int | None:
    """Return how many views of an image the pipeline of a data set makes, at most.

    Those of the metric loss alone count too. Wrappers are looked through; of
    concatenated data sets, the first one counts. ``None`` if it is not known, because
    there is no pipeline, or it has transforms of another package.
    """
    while dataset is not None and not hasattr(dataset, 'pipeline'):
        parts = getattr(dataset, 'datasets', None)
        dataset = parts[0] if parts else getattr(dataset, 'dataset', None)
    steps = list(_steps(getattr(dataset, 'pipeline', None)))
    if not all(type(step).__module__.startswith(KNOWN) for step in steps):
        return None
    made = [len(step.transforms) for step in steps if isinstance(step, MultiView)]
    return max(made, default=1) if steps else None


def _steps(step: object) -> Iterator[object]:
    """Yield a transform and those inside of it, but not those of each view."""
    if isinstance(step, ViewsByLoss):
        step = step.metric
    if step is not None:
        yield step
    inner = () if isinstance(step, MultiView) else getattr(step, 'transforms', ())
    for each in inner if isinstance(inner, list | tuple) else [inner]:
        yield from _steps(each)


def makes_separate_views(dataset: Dataset) -> bool:
    """Return whether the pipeline of a data set has :class:`ViewsByLoss`.

    Wrappers that keep the marks of a batch sampler are looked through. Others, such as
    mmengine's ``ConcatDataset``, would lose them.
    """
    while isinstance(dataset, KFoldDataset) or getattr(dataset, 'keeps_marks', False):
        dataset = dataset.dataset
    steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    return any(isinstance(step, ViewsByLoss) for step in steps)


def one_row_per_view(
    inputs: list, samples: list[DataSample]
) -> tuple[list, list[DataSample]]:
    """Turn images of several views into one row for each view.

    Args:
        inputs: N images, (C, H, W), or lists of views, each (C, H, W).
        samples: N samples.

    Returns:
        Rows and their samples: single images, then the first view of all others, then
        their second view, and so on. Each view has a copy of the sample of its image.
    """
    pairs = list(zip(inputs, samples, strict=True))
    rows = [pair for pair in pairs if not isinstance(pair[0], list)]
    several = [pair for pair in pairs if isinstance(pair[0], list)]
    for views in zip(*(views for views, _ in several), strict=True):
        for view, (_, sample) in zip(views, several, strict=True):
            rows.append((view, sample.clone()))
    return [image for image, _ in rows], [sample for _, sample in rows]
