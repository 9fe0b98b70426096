"""Check before training that a run gives its model what it needs."""

from mmengine.runner import Runner
from torch import nn

from mmimbal.datasets import PKBatchSampler
from mmimbal.datasets.views import makes_separate_views
from mmimbal.engine.ddp import unwrap_model
from mmimbal.models.multi_view import MultiViewDataPreprocessor
from mmimbal.models.needs import (
    CLASS_COUNTS,
    EPOCH,
    IMAGES,
    MIXTURES,
    ONE_LABEL,
    SEPARATE_VIEWS,
    VIEWS,
    needs_of,
)

AUGMENTS = 'model.train_cfg.augments'
ADVICE = {
    CLASS_COUNTS: "add dict(type='mmimbal.ClassCountsHook') to custom_hooks",
    EPOCH: "add dict(type='mmimbal.SetEpochHook') to custom_hooks",
    IMAGES: 'raise train_dataloader.batch_size',
    MIXTURES: f"add dict(type='Mixup', alpha=1.0) to {AUGMENTS}",
    ONE_LABEL: f'remove Mixup and CutMix from {AUGMENTS}',
    SEPARATE_VIEWS: "add dict(type='mmimbal.ViewsByLoss', transforms=[...]) to the "
    'pipeline of the dataset, which must not be in a wrapper such as ConcatDataset, '
    "and set model.data_preprocessor.type='mmimbal.MultiViewDataPreprocessor'",
    VIEWS: "add dict(type='MultiView', num_views=2, transforms=[...]) to the pipeline, "
    "and set model.data_preprocessor.type='mmimbal.MultiViewDataPreprocessor'",
}


def check_needs(runner: Runner) -> None:
    """Raise a ValueError that says what the model needs, and the run does not give.

    What this cannot see, such as the classifier of stage 1, the modules check
    themselves.
    """
    model = unwrap_model(runner.model)
    given = given_by(runner, model)
    for need, module in needs_of(model).items():
        if need in ADVICE and need not in given:
            raise ValueError(f'{type(module).__name__} needs {need}: {ADVICE[need]}')


def given_by(runner: Runner, model: nn.Module) -> set[str]:
    """Return what a run gives to its model."""
    # Imported here, because hooks import this file.
    from mmimbal.engine.hooks import ClassCountsHook, SetEpochHook

    given = set()
    for need, hook in ((CLASS_COUNTS, ClassCountsHook), (EPOCH, SetEpochHook)):
        if any(isinstance(each, hook) for each in runner.hooks):
            given.add(need)
    modules = [each for each in model.modules() if hasattr(each, 'class_counts')]
    if all(each.class_counts is not None for each in modules):  # set by hand
        given.add(CLASS_COUNTS)
    preprocessor, batches = model.data_preprocessor, runner.train_dataloader
    mixes = getattr(preprocessor, 'batch_augments', None) is not None
    given.add(MIXTURES if mixes else ONE_LABEL)
    # A PK batch sampler can draw an image twice.
    draws_twice = isinstance(batches.batch_sampler, PKBatchSampler)
    has_views = isinstance(preprocessor, MultiViewDataPreprocessor)
    if has_views or draws_twice:
        given.add(VIEWS)
    if has_views and makes_separate_views(batches.dataset):
        given.add(SEPARATE_VIEWS)
    if has_views or getattr(batches.batch_sampler, 'batch_size', 2) > 1:
        given.add(IMAGES)
    return given
