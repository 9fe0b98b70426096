"""Train stage 1 as an adapter on cached features of a frozen backbone."""

import numpy as np
import torch
from mmpretrain.models import ImageClassifier
from torch import nn

from mmimbal.engine.ddp import rewrap_model, unwrap_model
from mmimbal.engine.loops.cached_features_loop import CachedFeaturesTrainLoop
from mmimbal.models.multi_view import MultiViewDataPreprocessor
from mmimbal.models.necks import AdapterNeck
from mmimbal.registry import LOOPS
from mmimbal.stage2.freezing import freeze
from mmimbal.stage2.frozen_features import backbone_features


@LOOPS.register_module()
class AdapterTrainLoop(CachedFeaturesTrainLoop):
    """Train an adapter and the head on cached features of a frozen backbone.

    The neck of the model is a :class:`mmimbal.models.necks.AdapterNeck`. The loop
    freezes the backbone. Batches have one view of each image, so that losses which need
    several cannot be used. Everything else, and all arguments, are those of
    :class:`CachedFeaturesTrainLoop`; stage 2 follows as on any stage 1.

    Raises:
        ValueError: In training, if the neck is no adapter or does not fit the backbone,
            or if a batch would have several views or mixed images.
    """

    def run(self) -> nn.Module:
        """Freeze the backbone, and train."""
        model = unwrap_model(self.runner.model)
        check_adapter(model)
        freeze(model.backbone, update_bn=False)
        rewrap_model(self.runner)
        return super().run()

    def features(self, model: ImageClassifier, *args, **kwargs) -> np.memmap:
        """Return the features before the adapter; see :func:`backbone_features`."""
        return backbone_features(model, *args, **kwargs)

    def check_features(self, model: ImageClassifier, shape: tuple[int, ...]) -> None:
        """Raise a ValueError if the neck does not fit features of this shape."""
        if shape != (model.neck.in_channels,):
            raise ValueError(
                f'the backbone gives features of size {" x ".join(map(str, shape))}: '
                f'set model.neck.in_channels, which is {model.neck.in_channels}'
            )

    @staticmethod
    def extract_feat(
        model: ImageClassifier, inputs: torch.Tensor, stage: str = 'neck'
    ) -> tuple[torch.Tensor]:
        """Return the features of the head, (N, C), from cached ones."""
        return model.neck((inputs,))


def check_adapter(model: ImageClassifier) -> None:
    """Raise a ValueError if a model cannot be trained by an adapter loop."""
    if not isinstance(model.neck, AdapterNeck):
        raise ValueError(
            'mmimbal.AdapterTrainLoop needs a model with neck=dict('
            f"type='mmimbal.AdapterNeck'), not {type(model.neck).__name__}"
        )
    if isinstance(model.data_preprocessor, MultiViewDataPreprocessor):
        raise ValueError(
            'an adapter is trained on one view of each image: choose a stage 1 '
            'without views, such as triplet'
        )
