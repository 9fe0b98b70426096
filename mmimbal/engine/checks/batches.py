"""Check before training that the batches are those that the head expects."""

from collections.abc import Iterable
from itertools import chain

from mmengine.dist import get_world_size
from mmengine.runner import Runner
from mmpretrain.engine import PreciseBNHook
from torch import nn
from torch.utils.data import BatchSampler, Sampler

from mmimbal.datasets.views import makes_separate_views
from mmimbal.engine.checks.needs import switched_recipes
from mmimbal.engine.ddp import unwrap_model


def check_batches(runner: Runner) -> None:
    """Raise a ValueError if batch sampler and head do not go together.

    They must have the same ``separate_views`` and, without it, ``natural_size``. In a
    single run, stage 2 has batches without views for the metric loss.
    """
    check_precise_bn(runner)
    head = getattr(unwrap_model(runner.model), 'head', None)
    batches = runner.train_dataloader.batch_sampler
    if head is not None:
        later = [each['loss'] for each in switched_recipes(runner) if 'loss' in each]
        check_ranks([head, *later], batches)
    drawn, read = (getattr(part, 'separate_views', False) for part in (batches, head))
    is_used = getattr(getattr(head, 'metric_weight', None), 'start', 0)
    if drawn != read and (drawn or is_used):
        raise ValueError(
            f'the batch sampler has separate_views={drawn}, but the head '
            f'{type(head).__name__} has separate_views={read}: set both to the same '
            'value. Only mmimbal.MetricLearningClsHead can have separate views'
        )
    dataset = runner.train_dataloader.dataset
    if is_used and not (drawn or read) and makes_separate_views(dataset):
        raise ValueError(
            'the pipeline has ViewsByLoss, but batch sampler and head have '
            'separate_views=False, so the losses would see the same views: set it to '
            'True in both, or use MultiView'
        )
    if not hasattr(head, 'natural_size'):
        return  # MMPretrain's heads use all images of a batch
    separate = drawn
    drawn, read = (
        getattr(part, 'natural_size', None) or None for part in (batches, head)
    )
    if separate:  # cross-entropy sees all images that are not for the metric loss
        drawn = drawn or batches.batch_size
        read = read or drawn
    if drawn != read:
        raise ValueError(
            f'the batch sampler has natural_size={drawn}, but the head has '
            f'natural_size={read}: set both to the same value'
        )


def check_precise_bn(runner: Runner) -> None:
    """Raise a ValueError if PreciseBNHook would not know the batch size.

    A loader with a batch sampler of its own has none.
    """
    has_hook = any(isinstance(hook, PreciseBNHook) for hook in runner.hooks)
    if has_hook and type(runner.train_dataloader.batch_sampler) is not BatchSampler:
        raise ValueError(
            'PreciseBNHook reads the batch size of the loader, which has none with a '
            'batch sampler of its own: remove the hook from custom_hooks'
        )


def check_ranks(modules: Iterable[nn.Module], batches: Sampler) -> None:
    """Raise a ValueError if ranks would have batches of different sizes.

    What compares the images of all ranks gathers as many of each; it has an attribute
    ``gathers``.
    """
    sampler, ranks = getattr(batches, 'sampler', None), get_world_size()
    is_uneven = not getattr(sampler, 'round_up', True) and len(sampler.dataset) % ranks
    parts = chain.from_iterable(module.modules() for module in modules)
    gathering = [part for part in parts if getattr(part, 'gathers', False)]
    if is_uneven and gathering:
        raise ValueError(
            f'{len(sampler.dataset)} images on {ranks} ranks, with round_up=False: the '
            f'last batch would have different sizes, but {type(gathering[0]).__name__} '
            'needs as many images of each rank. Set '
            'train_dataloader.sampler.round_up=True'
        )
