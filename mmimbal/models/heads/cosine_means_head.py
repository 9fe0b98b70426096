"""A cosine classifier that begins with the class means."""

import torch
import torch.nn.functional as F

from mmimbal.models.heads.cosine_head import CosineClsHead, cosine_logits
from mmimbal.models.losses.gather import gather_without_gradient
from mmimbal.models.needs import EPOCH, ONE_LABEL, WITHOUT_MIXTURES, missing
from mmimbal.registry import MODELS


@MODELS.register_module()
class CosineMeansClsHead(CosineClsHead):
    """Train a cosine classifier from the class means of the first epoch.

    In the first epoch weights do not learn: the directions of the features of each
    class are averaged. Then these means become the weights, and are trained. So rare
    classes begin where :class:`NearestMeanClsHead` ends, not at random. Arguments are
    as in :class:`CosineClsHead`.

    Raises:
        RuntimeError: In training, without ``mmimbal.SetEpochHook``.
        ValueError: If labels are mixed in the first epoch; before training, by
            ``mmimbal.CheckRunHook``, if an EMAHook averages the weights.
    """

    needs = (EPOCH, ONE_LABEL)
    gathers = True  # features of all ranks
    sets_weights = True  # an average with earlier weights (EMA) would be no classifier

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.register_buffer('sums', torch.zeros_like(self.fc.weight))
        # -1: the epoch is not known; 0: means are averaged; 1: weights are trained.
        self.register_buffer('phase', torch.tensor(-1))

    def begin_training(self) -> None:
        """Forget the phase of an earlier training, in weights to begin with."""
        self.phase.fill_(-1)

    def set_epoch(self, epoch: int) -> None:
        """Make the means the weights, after the first epoch; it is counted from 0."""
        if epoch == 0 and self.phase != 0:  # else a run goes on inside the first epoch
            self.sums.zero_()
        if epoch > 0 and self.phase == 0:
            self.fc.weight.data.copy_(self._weights())
        self.phase.fill_(min(epoch, 1))

    def loss(self, feats, data_samples, **kwargs) -> dict[str, torch.Tensor]:
        """Compute the loss, and in the first epoch add the features to the means."""
        if self.training and self.phase < 0:
            raise RuntimeError(missing(EPOCH, type(self).__name__))
        if self.training and self.phase == 0:
            if 'gt_score' in data_samples[0]:
                raise ValueError(
                    f'{type(self).__name__} averages the features of each class, but '
                    f'labels are mixed: {WITHOUT_MIXTURES}, and remove '
                    'to_onehot=True from data_preprocessor'
                )
            labels = torch.cat([sample.gt_label for sample in data_samples])
            self._add(self.pre_logits(feats).detach(), labels)
        return super().loss(feats, data_samples, **kwargs)

    def forward(self, feats: tuple[torch.Tensor]) -> torch.Tensor:
        """Return scaled cosines, (N, K), of the last features, (N, in_channels)."""
        # In the first epoch the means, with a gradient of 0 for the weights. Without a
        # branch, so that the head can be exported.
        weights = torch.where(self.phase == 0, self._weights(), self.fc.weight)
        return cosine_logits(self.pre_logits(feats), weights, self.scale)

    def _weights(self) -> torch.Tensor:
        """Return the directions of the means; weights of classes not seen stay."""
        seen = self.sums.any(1, keepdim=True)
        return torch.where(seen, F.normalize(self.sums), self.fc.weight.detach())

    def _add(self, features: torch.Tensor, labels: torch.Tensor) -> None:
        directions = gather_without_gradient(F.normalize(features.to(self.sums)))
        self.sums.index_add_(0, gather_without_gradient(labels), directions)
