"""Stage 1: a linear classifier and a metric loss on the same features."""

import torch
from mmengine.dist import is_distributed
from mmpretrain.models import LinearClsHead
from mmpretrain.structures import DataSample
from pytorch_metric_learning.losses import TripletMarginLoss

from mmimbal.models.heads.cosine_head import cosine_logits, use_cosine_classifier
from mmimbal.models.heads.metric_weight import MetricWeight
from mmimbal.models.heads.projection import build_projection
from mmimbal.models.heads.rows import (
    check_features,
    check_for_metric_loss,
    check_labels,
    labels_of,
    rows_of_losses,
    take,
)
from mmimbal.models.losses.build import (
    build_metric_loss,
    build_miner,
    check_arguments,
)
from mmimbal.models.losses.gather import gather_embeddings, gather_without_gradient
from mmimbal.models.losses.monitors import active_triplets, embedding_spread
from mmimbal.models.losses.precision import in_full_precision
from mmimbal.models.needs import EPOCH, IMAGES, ONE_LABEL, SEPARATE_VIEWS
from mmimbal.registry import MODELS


@MODELS.register_module()
class MetricLearningClsHead(LinearClsHead):
    """Learn features with cross-entropy and a metric loss (arXiv:2207.06975).

    The metric loss sees ``gt_label`` and the embeddings of all ranks, in float32 and
    outside autocast. Embeddings are the features or, with ``embedding_size``, a
    projection of them. The head logs ``embedding_spread`` (0 if all embeddings are one
    point, 1 if they are spread evenly), for triplet losses ``active_triplets`` (the
    share of triplets that violate the margin), and what the loss keeps in its dict
    ``monitors``. Predictions use the classifier alone.

    Args:
        num_classes: Number of classes, K.
        in_channels: Size of the features.
        metric_loss: Config of a loss ``f(embeddings, labels, mined)``, such as of
            pytorch-metric-learning. It gets ``num_classes``, ``in_channels`` and
            ``embedding_size`` if it takes them.
        metric_weight: Weight of the metric loss; cross-entropy has 1. With 0 the metric
            loss is not computed, as in stage 2 of a single run, or in a control.
        final_metric_weight: The weight falls to this value at the last epoch, by a
            cosine. It stays the same if ``None``.
        warmup_epochs: Number of epochs in which the weight grows, in equal steps above
            0. This and ``final_metric_weight`` need ``mmimbal.SetEpochHook``.
        embedding_size: Size D of the projection; ``None`` for no projection.
        hidden_size: Size of the hidden layer of the projection; ``in_channels`` if
            ``None``.
        batch_norm: Whether the hidden layer has batch normalization.
        miner: Config of a miner. The loss is computed on its pairs or triplets.
        natural_size: Number of images in the natural part, the start of a rank's batch.
            Cross-entropy sees only this part, the metric loss sees all images. All
            images if ``None``.
        separate_views: Whether the losses see different views: the metric loss those
            that :class:`mmimbal.datasets.ViewsByLoss` has made for it, cross-entropy
            all others. Then cross-entropy may see mixed images (Mixup, CutMix).
        cosine_scale: Scale of a cosine classifier, as in
            :class:`mmimbal.models.CosineClsHead`; a linear classifier if ``None``.
        init_cfg: As in :class:`mmpretrain.models.LinearClsHead`; the projection keeps
            torch's default initialization.
        **kwargs: As in :class:`mmpretrain.models.LinearClsHead`.

    Raises:
        ValueError: If a weight or margin is negative, a size is below 1, there is one
            class alone, or the loss takes no miner. In training: if features are not
            one vector of ``in_channels`` per image, an image has several labels or one
            outside the classes, the metric loss would see mixed labels, or with
            ``separate_views`` a batch has no views for a loss.
        RuntimeError: If the weight changes without ``mmimbal.SetEpochHook``.
    """

    gives: tuple[str, ...] = ()  # names of what loss_arguments returns
    gathers = True  # embeddings of all ranks

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        metric_loss: dict,
        metric_weight: float = 1.0,
        final_metric_weight: float | None = None,
        warmup_epochs: int = 0,
        embedding_size: int | None = None,
        hidden_size: int | None = None,
        batch_norm: bool = False,
        miner: dict | None = None,
        natural_size: int | None = None,
        separate_views: bool = False,
        cosine_scale: float | None = None,
        init_cfg: dict | None = None,
        **kwargs,
    ) -> None:
        init_cfg = init_cfg or dict(type='Normal', std=0.01, override=dict(name='fc'))
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)
        if num_classes < 2:
            raise ValueError(
                f'num_classes={num_classes}: a metric loss compares two classes or more'
            )
        if natural_size is not None and natural_size < 1:
            raise ValueError(f'natural_size={natural_size} must be at least 1, or None')
        self.natural_size = natural_size
        self.separate_views = separate_views
        self.metric_weight = MetricWeight(
            metric_weight, final_metric_weight, warmup_epochs
        )
        self.projection = build_projection(
            in_channels, embedding_size, hidden_size, batch_norm
        )
        if cosine_scale is not None:
            use_cosine_classifier(self, cosine_scale)
        sizes = dict(
            num_classes=num_classes,
            in_channels=in_channels,
            embedding_size=embedding_size or in_channels,
        )
        self.metric_loss = build_metric_loss(metric_loss, sizes)
        check_arguments(self.metric_loss, type(self))
        self.miner = build_miner(miner, self.metric_loss) if miner else None
        if not metric_weight:  # DDP waits for gradients of all trainable parameters
            self.projection.requires_grad_(False)
            self.metric_loss.requires_grad_(False)

    @staticmethod
    def without_metric_loss(cfg: dict) -> dict:
        """Return the config of a head with the same classifier alone, for inference.

        Args:
            cfg: Config of this head.
        """
        sizes = {key: cfg[key] for key in ('num_classes', 'in_channels')}
        if cfg.get('cosine_scale') is None:
            return dict(type='LinearClsHead', **sizes)
        return dict(type='mmimbal.CosineClsHead', scale=cfg['cosine_scale'], **sizes)

    @property
    def needs(self) -> tuple[str, ...]:
        """What the head needs in training; see :mod:`mmimbal.models.needs`."""
        separate = [SEPARATE_VIEWS] if self.separate_views else []
        if not self.metric_weight.start:
            return tuple(separate)
        return (
            IMAGES,
            *(separate or [ONE_LABEL]),
            *([EPOCH] if self.metric_weight.changes else []),
        )

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
        for_cross_entropy, for_metric_loss = rows_of_losses(
            data_samples, self.natural_size, self.separate_views
        )
        features = self.pre_logits(feats)
        check_features(features, self)
        labels = labels_of(data_samples)
        check_labels(labels, data_samples, self.num_classes)
        if self.metric_weight.start:
            check_for_metric_loss(data_samples[for_metric_loss])
        scores = self.classify(take(features, for_cross_entropy))
        losses = self._get_loss(scores, data_samples[for_cross_entropy], **kwargs)
        losses['loss_cls'] = losses.pop('loss')
        if self.metric_weight.start:
            losses |= self._metric_losses(
                take(features, for_metric_loss),
                take(labels, for_metric_loss),
                data_samples[for_metric_loss],
            )
        return losses

    def classify(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits, (N, K), of features, (N, in_channels)."""
        if hasattr(self, 'scale'):
            return cosine_logits(features, self.fc.weight, self.scale)
        return self.fc(features)

    def forward(self, feats: tuple[torch.Tensor]) -> torch.Tensor:
        """Return logits, (N, K), of the last features, (N, in_channels)."""
        return self.classify(self.pre_logits(feats))

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, counted from 0, for the weight of the metric loss."""
        self.metric_weight.epoch = epoch

    def set_max_epochs(self, max_epochs: int) -> None:
        """Set the number of epochs, for the weight of the metric loss."""
        self.metric_weight.set_max_epochs(max_epochs)

    def loss_arguments(
        self, features: torch.Tensor, samples: list[DataSample]
    ) -> dict[str, torch.Tensor]:
        """Return more arguments of the metric loss, for subclasses.

        Args:
            features: Features of this rank, (N, in_channels), not yet projected.
            samples: Their N samples.
        """
        return {}

    def _metric_losses(
        self, features: torch.Tensor, labels: torch.Tensor, samples: list[DataSample]
    ) -> dict[str, torch.Tensor]:
        embeddings = self.projection(features)
        with torch.autocast(embeddings.device.type, enabled=False):
            embeddings = gather_embeddings(in_full_precision(embeddings))
            labels = gather_without_gradient(labels)
            mined = self.miner(embeddings, labels) if self.miner else None
            more = self.loss_arguments(features, samples)
            loss = self.metric_loss(embeddings, labels, mined, **more)
            if is_distributed():
                # DDP waits for the loss's parameters also if a batch has no pairs.
                loss = loss + 0.0 * sum(p.sum() for p in self.metric_loss.parameters())
            losses = dict(
                loss_metric=self.metric_weight.value() * loss,
                embedding_spread=embedding_spread(embeddings),
            )
            share = self._active_share(embeddings, labels)
            if share is not None:
                losses['active_triplets'] = share
        return losses | getattr(self.metric_loss, 'monitors', {})

    def _active_share(
        self, embeddings: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor | None:
        """Return the share of active triplets; ``None`` for losses without triplets."""
        loss = self.metric_loss
        if isinstance(loss, TripletMarginLoss):
            return active_triplets(embeddings, labels, loss.distance, loss.margin)
        return getattr(loss, 'active_share', None)
