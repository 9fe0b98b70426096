"""Several classifiers as one model: the mean of their probabilities."""

import mmpretrain.registry as mmpretrain
import torch
from mmengine.model import BaseModel
from mmpretrain.structures import DataSample

from mmimbal.registry import MODELS


@MODELS.register_module()
class EnsembleClassifier(BaseModel):
    """Average the probabilities of classifiers that see the same images.

    Works where MMPretrain's ``ImageClassifier`` does for inference: in its inferencers
    and test loops. It is not trained.

    Args:
        members: Configs of the classifiers. All have the same data preprocessor and the
            same classes in the same order.
        data_preprocessor: Config of the data preprocessor of all.

    Raises:
        ValueError: If there is no member.
    """

    def __init__(
        self, members: list[dict], data_preprocessor: dict | None = None
    ) -> None:
        preprocessor = dict(type='ClsDataPreprocessor') | (data_preprocessor or {})
        super().__init__(data_preprocessor=mmpretrain.MODELS.build(preprocessor))
        if not members:
            raise ValueError('an ensemble needs at least one member')
        self.members = torch.nn.ModuleList(
            [
                mmpretrain.MODELS.build({**member, 'data_preprocessor': preprocessor})
                for member in members
            ]
        )

    def forward(
        self,
        inputs: torch.Tensor,
        data_samples: list[DataSample] | None = None,
        mode: str = 'tensor',
    ) -> torch.Tensor | list[DataSample]:
        """Return mean probabilities, (N, K), or samples with them.

        Args:
            inputs: Images, (N, C, H, W), normalized.
            data_samples: N samples, to which ``pred_score`` and ``pred_label`` are
                added; new ones if ``None``.
            mode: ``'tensor'`` or ``'predict'``.

        Raises:
            ValueError: If the mode is ``'loss'``.
        """
        if mode == 'loss':
            raise ValueError('an ensemble is not trained: train its members')
        scores = self.probabilities(inputs)
        if mode == 'tensor':
            return scores
        samples = data_samples or [DataSample() for _ in inputs]
        for sample, score in zip(samples, scores, strict=True):
            sample.set_pred_score(score).set_pred_label(score.argmax(0, keepdim=True))
        return samples

    def probabilities(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the mean of the members' probabilities, (N, K)."""
        scores = [member(inputs).float().softmax(1) for member in self.members]
        return torch.stack(scores).mean(0)
