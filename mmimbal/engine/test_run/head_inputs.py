"""Keep the embeddings of images, on their way from the neck to the head."""

import torch
from torch import nn


def head_of(model: nn.Module) -> nn.Module:
    """Return the head of a classifier.

    Raises:
        ValueError: If it has none, as an ensemble or a ``TimmClassifier``.
    """
    head = getattr(model, 'head', None)
    if head is None:
        raise ValueError(
            f'embeddings are the inputs of a head, but {type(model).__name__} has '
            'none: give one model with backbone, neck and head'
        )
    return head


class HeadInputs:
    """The embeddings of the last batch.

    Args:
        head: Head of a classifier.

    Attributes:
        embeddings: Outputs of backbone and neck, (B, D), float32; ``None`` before the
            first batch.
    """

    def __init__(self, head: nn.Module) -> None:
        self.embeddings: torch.Tensor | None = None
        head.register_forward_pre_hook(self._keep)

    def _keep(self, head: nn.Module, inputs: tuple) -> None:
        self.embeddings = inputs[0][-1].float().flatten(1)
