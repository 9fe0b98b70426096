"""Stage 2 of a single run: its config, and what is wrong with it, before stage 1."""

import copy
import logging
from collections.abc import Callable, Iterable
from types import SimpleNamespace

from mmengine.config import Config
from mmengine.hooks import EarlyStoppingHook, EMAHook, Hook
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from mmpretrain.engine import SwitchRecipeHook
from mmpretrain.registry import DATASETS
from torch import nn
from torch.utils.data import Dataset, Sampler

from mmimbal.datasets import get_class_counts, get_class_names
from mmimbal.datasets.labels_and_groups import check_no_class_is_empty
from mmimbal.engine.checks.batches import check_batches
from mmimbal.engine.checks.needs import check_needs
from mmimbal.engine.ddp import unwrap_model
from mmimbal.files.dataset_config import innermost
from mmimbal.models.needs import give_class_counts, wants_class_counts
from mmimbal.stage2.batches_and_schedule import build_batches, build_schedule

EXCLUDED = {
    EMAHook: 'would average the heads of stage 1 and stage 2',
    EarlyStoppingHook: 'could end the run before stage 2',
    SwitchRecipeHook: 'would change what stage 2 replaces',
}


def check_hooks(hooks: Iterable[Hook]) -> None:
    """Raise a ValueError if a hook does not go together with a single run."""
    for hook in hooks:
        for kind, reason in EXCLUDED.items():
            if isinstance(hook, kind):
                raise ValueError(
                    f'{kind.__name__} {reason}. Remove it, or run stage 2 with a '
                    'separate config'
                )


def merged(cfg: Config, changes: dict) -> Config:
    """Return the config of stage 2: that of stage 1 with changes.

    Raises:
        ValueError: If they cannot be merged.
    """
    cfg = copy.deepcopy(cfg)
    try:
        cfg.merge_from_dict(copy.deepcopy(changes))
    except TypeError as error:  # of mmengine
        raise ValueError(
            'stage2 of the TwoStageHook cannot be merged into the config: a dict does '
            'not change a list. Give the whole list, or add _delete_=True'
        ) from error
    return cfg


def check_parts(runner: Runner, cfg: Config, head: nn.Module, epochs: int) -> None:
    """Raise a ValueError that names the part of stage 2 that cannot be built.

    Args:
        runner: The runner, before training.
        cfg: Config of stage 2.
        head: A head of stage 2.
        epochs: Epochs of stage 2.
    """
    loader, dataset = cfg.train_dataloader, runner.train_dataloader.dataset
    if loader.dataset != runner.cfg.train_dataloader.dataset:
        dataset = _try('train_dataloader.dataset', build_without_cache, loader.dataset)
    trial = copy.copy(unwrap_model(runner.model))
    trial._modules = dict(trial._modules, head=head)
    _, batches = _try('train_dataloader', build_batches, loader, dataset)
    length = len(batches)
    check_go_together(runner, trial, dataset, batches)
    optimizer = _try('optim_wrapper', build_optim_wrapper, trial, cfg.optim_wrapper)
    schedule = cfg.get('param_scheduler')
    try:
        _try('param_scheduler', build_schedule, schedule, optimizer, epochs, length)
    except ValueError as error:
        if schedule != runner.cfg.get('param_scheduler'):
            raise
        raise ValueError(
            f'{error}. This is the schedule of stage 1: give stage2 of the '
            'TwoStageHook a param_scheduler of its own, or None'
        ) from error


def check_go_together(
    runner: Runner, model: nn.Module, dataset: Dataset, batches: Sampler
) -> None:
    """Raise a ValueError if the parts of stage 2 do not go together.

    Args:
        runner: The runner, before training.
        model: The model with a head of stage 2, which gets the class counts.
        dataset: Training images of stage 2.
        batches: Batch sampler of stage 2.
    """
    run = SimpleNamespace(
        model=model,
        hooks=runner.hooks,
        cfg=runner.cfg,
        train_dataloader=SimpleNamespace(
            dataset=dataset,
            batch_sampler=batches,
            collate_fn=runner.train_dataloader.collate_fn,
        ),
    )
    try:
        check_needs(run)
        check_batches(run)
        counts = get_class_counts(dataset)
        check_no_class_is_empty(counts, get_class_names(dataset))
        if wants_class_counts(model.head):
            give_class_counts(model.head.modules(), counts)
    except ValueError as error:
        raise ValueError(f'stage2 of the TwoStageHook: {error}') from error


def warn_of_schedule(runner: Runner, changes: dict) -> None:
    """Warn if stage 2 has no schedule of its own.

    That of stage 1 begins anew in stage 2, and seldom ends with it.

    Args:
        runner: The runner.
        changes: The changes of stage 2.
    """
    if runner.cfg.get('param_scheduler') and 'param_scheduler' not in changes:
        runner.logger.warning(
            'Stage 2 has no param_scheduler of its own: that of stage 1 begins anew, '
            'and may not fall to its end. Add one to stage2 of the TwoStageHook; None '
            'keeps the learning rate'
        )


def build_without_cache(cfg: dict) -> Dataset:
    """Build a data set as a Runner does, but decode no image for a cache."""
    dataset = DATASETS.build(_without_cache(copy.deepcopy(cfg)))
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    return dataset


def _without_cache(cfg: dict) -> dict:
    inner = innermost(cfg, 'cache')
    inner.pop('cache', None)
    for part in inner.get('datasets') or ():
        _without_cache(part)
    return cfg


def _try(part: str, build: Callable, *args):
    """Build a part of stage 2; return it."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.INFO))  # what it logs is of stage 2
    try:
        return build(*args)
    except (TypeError, KeyError, ValueError) as error:
        reason = str(error.args[0] if error.args else error)
        advice = ''
        if 'unexpected keyword argument' in reason:
            advice = '. If the type is another one than in stage 1, add _delete_=True'
        raise ValueError(
            f'stage2.{part} of the TwoStageHook cannot be built: {reason}{advice}'
        ) from error
    finally:
        logging.disable(before)
