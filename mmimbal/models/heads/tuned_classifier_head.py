"""A linear classifier that goes on from that of stage 1."""

from mmimbal.models.heads.frozen_classifier_head import FrozenClassifierHead
from mmimbal.registry import MODELS


@MODELS.register_module()
class TunedClassifierClsHead(FrozenClassifierHead):
    """Train the linear classifier of stage 1 on, with another loss.

    For methods that change it in a few small steps, such as label over-smoothing
    (https://openreview.net/forum?id=OeKp3AdiVO). Arguments as in
    :class:`mmpretrain.models.LinearClsHead`.

    Raises:
        RuntimeError: When trained without weights of stage 1.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fc.requires_grad_(True)
