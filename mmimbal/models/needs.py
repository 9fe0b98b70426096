"""What losses and heads need in training besides images with labels.

A module says it in its attribute ``needs``, a tuple of these words.
:func:`mmimbal.engine.needs.check_needs` compares them with what a run gives, and the
table of methods shows them.
"""

from torch import nn

CLASS_COUNTS = 'class counts'
CLASSIFIER = 'linear classifier of stage 1'
EPOCH = 'the epoch'
IMAGES = 'several images in a batch'
MIXTURES = 'Mixup or CutMix'
ONE_LABEL = 'one label per image'
SEPARATE_VIEWS = 'views for the metric loss alone'
VIEWS = 'views'


def needs_of(model: nn.Module) -> dict[str, nn.Module]:
    """Return what a model needs, each with the first module that needs it."""
    found = {}
    for module in model.modules():
        for need in getattr(module, 'needs', ()):
            found.setdefault(need, module)
    return found
