"""Build batches and schedules of stage 2 from its config, as a Runner does."""

from collections.abc import Mapping, Sequence

from mmengine.optim import OptimWrapper
from mmpretrain.registry import DATA_SAMPLERS, PARAM_SCHEDULERS
from torch.utils.data import BatchSampler, Dataset, Sampler


def build_batches(
    loader: Mapping, dataset: Dataset, seed: int = 0
) -> tuple[Sampler, Sampler]:
    """Build the sampler of a loader, and its batch sampler.

    Args:
        loader: Config of a loader.
        dataset: Its images.
        seed: Seed of the sampler.
    """
    sampler = DATA_SAMPLERS.build(
        loader['sampler'], default_args=dict(dataset=dataset, seed=seed)
    )
    size = loader['batch_size']
    if not loader.get('batch_sampler'):
        return sampler, BatchSampler(sampler, size, loader.get('drop_last', False))
    batches = DATA_SAMPLERS.build(
        loader['batch_sampler'], default_args=dict(sampler=sampler, batch_size=size)
    )
    return sampler, batches


def with_ends(
    schedule: Mapping | Sequence[Mapping] | None, epochs: int, length: int
) -> list[dict]:
    """Return the parts of a schedule; one without an end lasts as long as stage 2.

    Args:
        schedule: A part, or several, or none.
        epochs: Epochs of stage 2.
        length: Batches in an epoch.
    """
    parts = [schedule] if isinstance(schedule, Mapping) else schedule or []
    return [
        {'end': epochs if part.get('by_epoch', True) else epochs * length, **part}
        for part in parts
    ]


def build_schedule(
    schedule: Mapping | Sequence[Mapping] | None,
    optim_wrapper: OptimWrapper,
    epochs: int,
    length: int,
) -> list:
    """Build the parts of a schedule: mmengine's parameter schedulers.

    Args:
        schedule: As for :func:`with_ends`.
        optim_wrapper: The optimizer whose numbers it changes.
        epochs: Epochs of stage 2.
        length: Batches in an epoch.
    """
    defaults = dict(optimizer=optim_wrapper, epoch_length=length)
    parts = with_ends(schedule, epochs, length)
    return [PARAM_SCHEDULERS.build(part, default_args=defaults) for part in parts]
