"""Check before training that a run gives its model what it needs."""

from mmengine.dataset import default_collate
from mmengine.runner import Runner
from mmpretrain.models.utils import ClsDataPreprocessor
from torch import nn

from mmimbal.datasets.views import makes_separate_views, number_of_views
from mmimbal.engine.ddp import unwrap_model
from mmimbal.models.multi_view import MultiViewDataPreprocessor
from mmimbal.models.needs import (
    ADVICE,
    CLASS_COUNTS,
    EPOCH,
    IMAGES,
    MIXTURES,
    ONE_LABEL,
    SEPARATE_VIEWS,
    VIEWS,
    missing,
    needs_of,
)


def check_needs(runner: Runner) -> None:
    """Raise a ValueError that says what the model needs, and the run does not give.

    What this cannot see, such as the classifier of stage 1, the modules check
    themselves.
    """
    model = unwrap_model(runner.model)
    given = given_by(runner, model)
    for need, module in needs_of(model).items():
        if need in ADVICE and need not in given:
            raise ValueError(missing(need, type(module).__name__))
    plain = type(model.data_preprocessor) is ClsDataPreprocessor
    views = number_of_views(runner.train_dataloader.dataset)
    if plain and views is not None and views > 1:
        raise ValueError(
            'the pipeline makes several views of an image, which ClsDataPreprocessor '
            'cannot read: set model.data_preprocessor.type='
            "'mmimbal.MultiViewDataPreprocessor'"
        )
    collate = runner.train_dataloader.collate_fn
    of_torch = getattr(collate, 'func', collate) is default_collate
    if of_torch and makes_separate_views(runner.train_dataloader.dataset):
        raise ValueError(
            'default_collate cannot join images with one view and with several: set '
            "train_dataloader.collate_fn=dict(type='mmimbal.stack_images')"
        )


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
    has_views = isinstance(preprocessor, MultiViewDataPreprocessor)
    if has_views and number_of_views(batches.dataset) != 1:  # None: not known
        given.add(VIEWS)
    if has_views and makes_separate_views(batches.dataset):
        given.add(SEPARATE_VIEWS)
    if has_views or getattr(batches.batch_sampler, 'batch_size', 2) > 1:
        given.add(IMAGES)
    return given
