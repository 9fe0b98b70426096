"""Batches with extra views of some images for the metric loss."""

from collections.abc import Iterator

from mmengine.dataset import InfiniteSampler
from torch.utils.data import BatchSampler, Sampler

from mmimbal.datasets.views import MetricIndex
from mmimbal.datasets.whole_number import whole_number
from mmimbal.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class ViewsBatchSampler(BatchSampler):
    """Add the first images of each batch once more, for the metric loss.

    Needs :class:`mmimbal.datasets.ViewsByLoss` in the pipeline, and a head with
    ``separate_views``. Then cross-entropy sees ``batch_size`` images, and the metric
    loss sees other views of ``metric_images`` of them.

    Args:
        sampler: The sampler.
        batch_size: Images in a batch, for cross-entropy.
        metric_images: Number of images that the metric loss sees too.
        drop_last: Whether to leave out a last batch that is smaller.

    Raises:
        ValueError: If ``metric_images`` is below 2 or larger than the batch, or no
            batch is full and the last one is left out.
    """

    separate_views = True

    def __init__(
        self,
        sampler: Sampler,
        batch_size: int,
        metric_images: int,
        drop_last: bool = True,
    ) -> None:
        self.metric_images = whole_number('metric_images', metric_images, smallest=2)
        if metric_images > batch_size:
            raise ValueError(
                f'metric_images={metric_images} must be at most batch_size={batch_size}'
            )
        ends = not isinstance(sampler, InfiniteSampler)
        if ends and drop_last and len(sampler) < batch_size:
            raise ValueError(
                f'there is no batch of {batch_size} in {len(sampler)} images, and '
                'drop_last=True: lower batch_size, or set drop_last=False'
            )
        super().__init__(sampler, batch_size, drop_last)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield ``batch_size`` indices, then the first ``metric_images`` again."""
        for batch in super().__iter__():
            yield batch + [MetricIndex(index) for index in batch[: self.metric_images]]
