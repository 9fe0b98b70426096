"""Stage 1: a linear classifier and a metric loss on the same features."""

import inspect

import torch
from mmpretrain.models import LinearClsHead
from mmpretrain.structures import DataSample
from pytorch_metric_learning.losses import TripletMarginLoss
from torch import nn

from mmimbal.models.losses.batch_all_triplet import BatchAllTripletLoss
from mmimbal.models.losses.gather import gather_embeddings, gather_labels
from mmimbal.models.losses.monitors import active_triplets, embedding_spread
from mmimbal.registry import MODELS


@MODELS.register_module()
class MetricLearningClsHead(LinearClsHead):
    """Learn features with cross-entropy and a metric loss (arXiv:2207.06975).

    The metric loss sees ``gt_label`` and the embeddings of all ranks, in float32 and
    outside autocast: the features themselves or, with ``embedding_size``, a
    projection of them (linear, ReLU, linear). It logs ``embedding_spread`` (0 when
    the embeddings collapse to a point, 1 when they spread evenly) and, for triplet
    losses, ``active_triplets`` (the share of triplets that violate the margin).
    Predictions come from the linear classifier alone.

    Args:
        num_classes: Number of classes, K.
        in_channels: Size of the features.
        metric_loss: Config of a loss ``f(embeddings, labels)``, such as those of
            pytorch-metric-learning. It is given ``num_classes`` and
            ``embedding_size`` if it takes them.
        metric_weight: Weight of the metric loss beside cross-entropy. At 0 it is not
            computed: a single run switches it off so in stage 2.
        embedding_size: Size D of the projection; ``None`` for no projection.
        miner: Config of a miner whose pairs or triplets the loss is computed on.
        natural_size: How many images at the start of a rank's batch are drawn as they
            come; cross-entropy sees only those, the metric loss all. All if ``None``.
        init_cfg: As in :class:`mmpretrain.models.LinearClsHead`; the projection keeps
            torch's default initialization.
        **kwargs: As in :class:`mmpretrain.models.LinearClsHead`.

    Raises:
        ValueError: If ``metric_weight`` is negative, or batch augmentation has mixed
            the labels.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        metric_loss: dict,
        metric_weight: float = 1.0,
        embedding_size: int | None = None,
        miner: dict | None = None,
        natural_size: int | None = None,
        init_cfg: dict | None = None,
        **kwargs,
    ) -> None:
        init_cfg = init_cfg or dict(type='Normal', std=0.01, override=dict(name='fc'))
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)
        if metric_weight < 0:
            raise ValueError(f'metric_weight={metric_weight} must not be negative')
        self.metric_weight = metric_weight
        self.natural_size = natural_size
        self.projection = (
            nn.Sequential(
                nn.Linear(in_channels, in_channels),
                nn.ReLU(inplace=True),
                nn.Linear(in_channels, embedding_size),
            )
            if embedding_size
            else nn.Identity()
        )
        sizes = dict(
            num_classes=num_classes, embedding_size=embedding_size or in_channels
        )
        self.metric_loss = build_metric_loss(metric_loss, sizes)
        self.miner = MODELS.build(miner) if miner else None
        if not metric_weight:  # DDP waits for gradients of all that seems to learn
            self.projection.requires_grad_(False)
            self.metric_loss.requires_grad_(False)

    def loss(
        self, feats: tuple[torch.Tensor], data_samples: list[DataSample], **kwargs
    ) -> dict[str, torch.Tensor]:
        """Compute both losses and the monitors.

        Args:
            feats: Features of the backbone's stages, the last (N, in_channels).
            data_samples: N samples with ``gt_label``.
            **kwargs: For the classification loss.

        Returns:
            ``loss_cls``, ``loss_metric``, ``embedding_spread`` and, for triplet
            losses, ``active_triplets``: scalars.
        """
        if 'gt_score' in data_samples[0]:
            raise ValueError(
                'a metric loss needs one label per image, but the batch was mixed '
                '(Mixup, CutMix, ...). Remove the batch augments from '
                'model.train_cfg, or use a head without metric loss'
            )
        labels = torch.cat([sample.gt_label for sample in data_samples])
        features = self.pre_logits(feats)
        natural = slice(self.natural_size)
        scores = self.fc(features[natural])
        losses = self._get_loss(scores, data_samples[natural], **kwargs)
        losses['loss_cls'] = losses.pop('loss')
        if self.metric_weight:
            losses |= self._metric_losses(self.projection(features), labels)
        return losses

    def _metric_losses(
        self, embeddings: torch.Tensor, labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        with torch.autocast(embeddings.device.type, enabled=False):
            embeddings = gather_embeddings(embeddings.float())
            labels = gather_labels(labels)
            mined = self.miner(embeddings, labels) if self.miner else None
            loss = self.metric_loss(embeddings, labels, mined)
            losses = dict(
                loss_metric=self.metric_weight * loss,
                embedding_spread=embedding_spread(embeddings),
            )
            if isinstance(self.metric_loss, (BatchAllTripletLoss, TripletMarginLoss)):
                losses['active_triplets'] = active_triplets(
                    embeddings,
                    labels,
                    self.metric_loss.distance,
                    self.metric_loss.margin,
                )
        return losses


def build_metric_loss(cfg: dict, sizes: dict[str, int]) -> nn.Module:
    """Build a metric loss, giving it those of ``sizes`` that it takes and lacks.

    Raises:
        KeyError: If there is no loss of that name.
        TypeError: If it is a function.
    """
    component = inspect.unwrap(MODELS.get(cfg['type']))
    if not inspect.isclass(component):
        raise TypeError(
            f'metric loss {cfg["type"]} must be an nn.Module, not a function'
        )
    parents = [parent for parent in component.__mro__ if '__init__' in vars(parent)]
    wanted = {
        name
        for parent in parents
        for name in inspect.signature(parent.__init__).parameters
    }
    default_args = {name: size for name, size in sizes.items() if name in wanted}
    return MODELS.build(cfg, default_args=default_args)
