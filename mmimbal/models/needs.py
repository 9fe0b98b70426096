"""What losses and heads need in training besides images with labels, and get.

A module says it in its attribute ``needs``, a tuple of these words. They are compared
with what a run gives by :func:`mmimbal.engine.checks.needs.check_needs`, and the table
of methods shows them.
"""

from collections.abc import Iterable

import numpy as np
from torch import nn

CLASS_COUNTS = 'class counts'
CLASSIFIER = 'linear classifier of stage 1'
EPOCH = 'the epoch'
IMAGES = 'several images in a batch'
MIXTURES = 'Mixup or CutMix'
ONE_LABEL = 'one label per image'
SEPARATE_VIEWS = 'views for the metric loss alone'
VIEWS = 'views'

AUGMENTS = 'model.train_cfg.augments'
READS_VIEWS = (
    "set the type of data_preprocessor to 'mmimbal.MultiViewDataPreprocessor', where "
    'the config has it, at top level or in model'
)
# MMPretrain makes labels of a batch one-hot also if the list of augments is empty.
WITHOUT_MIXTURES = (
    'remove Mixup and CutMix: set train_cfg=None in model, also where a base of the '
    'config has them'
)
ADVICE = {
    CLASS_COUNTS: "add dict(type='mmimbal.ClassCountsHook') to custom_hooks",
    EPOCH: "add dict(type='mmimbal.SetEpochHook') to custom_hooks",
    IMAGES: 'raise train_dataloader.batch_size',
    MIXTURES: f"add dict(type='Mixup', alpha=1.0) to {AUGMENTS}",
    ONE_LABEL: WITHOUT_MIXTURES,
    SEPARATE_VIEWS: "add dict(type='mmimbal.ViewsByLoss', transforms=[...]) to the "
    'pipeline of the dataset, which must not be in a wrapper such as ConcatDataset, '
    f'and {READS_VIEWS}',
    VIEWS: "add dict(type='MultiView', num_views=2, transforms=[...]) to the pipeline, "
    f'and {READS_VIEWS}',
}


def missing(need: str, by: str) -> str:
    """Return an error message: what is missing, and how to give it.

    Args:
        need: A key of :data:`ADVICE`.
        by: Who needs it.
    """
    return f'{by} needs {need}: {ADVICE[need]}'


def give_class_counts(modules: Iterable, counts: np.ndarray) -> None:
    """Call ``set_class_counts`` on what has it.

    Args:
        modules: Modules of a model, or metrics.
        counts: Training images of each class, (K,).
    """
    for module in modules:
        if hasattr(module, 'set_class_counts'):
            module.set_class_counts(counts)


def wants_class_counts(model: nn.Module) -> bool:
    """Return whether a module of a model has ``set_class_counts``."""
    return any(hasattr(module, 'set_class_counts') for module in model.modules())


def give_epoch(modules: Iterable[nn.Module], epoch: int, max_epochs: int) -> None:
    """Call ``set_max_epochs``, then ``set_epoch``, on modules that have them.

    Args:
        modules: Modules of a model.
        epoch: Epoch of the stage, from 0 on.
        max_epochs: Number of epochs of the stage.
    """
    for module in modules:
        if hasattr(module, 'set_max_epochs'):
            module.set_max_epochs(max_epochs)
        if hasattr(module, 'set_epoch'):
            module.set_epoch(epoch)


def needs_of(model: nn.Module) -> dict[str, nn.Module]:
    """Return what a model needs, each with the first module that needs it."""
    found = {}
    for module in model.modules():
        for need in getattr(module, 'needs', ()):
            found.setdefault(need, module)
    return found
