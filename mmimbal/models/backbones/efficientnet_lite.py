"""EfficientNet-Lite: EfficientNet without squeeze-and-excitation."""

from typing import ClassVar

from mmpretrain.models import EfficientNet

from mmimbal.registry import MODELS


def without_excitation(stages: list[list[list[int]]]) -> list[list[list[int]]]:
    """Return layer settings of MMPretrain's EfficientNet with a ratio of 0."""
    return [
        [[kernel, channels, 0, *rest] for kernel, channels, _, *rest in blocks]
        for blocks in stages
    ]


LAYERS = without_excitation(EfficientNet.layer_settings['b'])


@MODELS.register_module()
class EfficientNetLite(EfficientNet):
    """EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation, with ReLU6.

    https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite

    Args:
        arch: ``'lite0'``.
        act_cfg: Config of the activation.
        **kwargs: As in :class:`mmpretrain.models.EfficientNet`.
    """

    layer_settings: ClassVar = {'l': LAYERS}
    arch_settings: ClassVar = {'lite0': EfficientNet.arch_settings['b0']}

    def __init__(
        self, arch: str = 'lite0', act_cfg: dict | None = None, **kwargs
    ) -> None:
        super().__init__(arch, act_cfg=act_cfg or dict(type='ReLU6'), **kwargs)
