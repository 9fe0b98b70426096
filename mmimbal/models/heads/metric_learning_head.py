"""Stage 1: a linear classifier and a metric loss on the same features."""

import inspect

import torch
from mmpretrain.models import LinearClsHead
from mmpretrain.structures import DataSample
from pytorch_metric_learning.losses import TripletMarginLoss
from torch import nn

from mmimbal.models.losses.gather import gather_embeddings, gather_labels
from mmimbal.models.losses.monitors import active_triplets, embedding_spread
from mmimbal.models.losses.pml import TAKES_NO_MINER
from mmimbal.models.losses.reductions import in_full_precision
from mmimbal.registry import MODELS


@MODELS.register_module()
class MetricLearningClsHead(LinearClsHead):
    """Learn features with cross-entropy and a metric loss (arXiv:2207.06975).

    The metric loss sees ``gt_label`` and the embeddings of all ranks, in float32 and
    outside autocast. Embeddings are the features or, with ``embedding_size``, a
    projection of them (linear, ReLU, linear). The head logs ``embedding_spread`` (0 if
    all embeddings are one point, 1 if they are spread evenly) and, for triplet losses,
    ``active_triplets`` (the share of triplets that violate the margin). Predictions use
    the linear classifier alone.

    Args:
        num_classes: Number of classes, K.
        in_channels: Size of the features.
        metric_loss: Config of a loss ``f(embeddings, labels)``, for example of
            pytorch-metric-learning. It gets ``num_classes``, ``in_channels`` and
            ``embedding_size`` if it takes them.
        metric_weight: Weight of the metric loss; cross-entropy has 1. With 0 the metric
            loss is not computed, as in stage 2 of a single run.
        warmup_epochs: Number of epochs in which the weight grows to
            ``metric_weight``, in equal steps above 0. Needs ``mmimbal.SetEpochHook``.
        embedding_size: Size D of the projection; ``None`` for no projection.
        miner: Config of a miner. The loss is computed on its pairs or triplets.
        natural_size: Number of images in the natural part, the start of a rank's batch.
            Cross-entropy sees only this part, the metric loss sees all images. All
            images if ``None``.
        init_cfg: As in :class:`mmpretrain.models.LinearClsHead`; the projection keeps
            torch's default initialization.
        **kwargs: As in :class:`mmpretrain.models.LinearClsHead`.

    Raises:
        ValueError: If a weight or margin is negative, a size is below 1, the loss takes
            no miner, a label is outside the classes, or the labels are mixed.
        RuntimeError: If there is a warm-up without ``mmimbal.SetEpochHook``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        metric_loss: dict,
        metric_weight: float = 1.0,
        warmup_epochs: int = 0,
        embedding_size: int | None = None,
        miner: dict | None = None,
        natural_size: int | None = None,
        init_cfg: dict | None = None,
        **kwargs,
    ) -> None:
        init_cfg = init_cfg or dict(type='Normal', std=0.01, override=dict(name='fc'))
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)
        if metric_weight < 0 or warmup_epochs < 0:
            raise ValueError(
                f'metric_weight={metric_weight} and warmup_epochs={warmup_epochs} must '
                'not be negative'
            )
        for name, size in (
            ('embedding_size', embedding_size),
            ('natural_size', natural_size),
        ):
            if size is not None and size < 1:
                raise ValueError(f'{name}={size} must be at least 1, or None')
        self.metric_weight = metric_weight
        self.warmup_epochs = warmup_epochs
        self.epoch: int | None = None
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
            num_classes=num_classes,
            in_channels=in_channels,
            embedding_size=embedding_size or in_channels,
        )
        self.metric_loss = build_metric_loss(metric_loss, sizes)
        self.miner = MODELS.build(miner) if miner else None
        name = type(self.metric_loss).__name__
        if miner and name in TAKES_NO_MINER:
            raise ValueError(f'{name} takes no miner: remove the miner from the head')
        if not metric_weight:  # DDP waits for gradients of all trainable parameters
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
        check_labels(labels, data_samples, self.num_classes)
        features = self.pre_logits(feats)
        natural = slice(self.natural_size)
        scores = self.fc(features[natural])
        losses = self._get_loss(scores, data_samples[natural], **kwargs)
        losses['loss_cls'] = losses.pop('loss')
        if self.metric_weight:
            losses |= self._metric_losses(self.projection(features), labels)
        return losses

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, counted from 0, for the warm-up."""
        self.epoch = epoch

    def compute_metric_loss(
        self, embeddings: torch.Tensor, labels: torch.Tensor, mined: tuple | None
    ) -> torch.Tensor:
        """Compute the metric loss. A subclass may pass more arguments to its loss.

        Args:
            embeddings: Embeddings of all ranks, (N, D).
            labels: (N,).
            mined: Pairs or triplets of the miner, or ``None``.
        """
        return self.metric_loss(embeddings, labels, mined)

    def _metric_losses(
        self, embeddings: torch.Tensor, labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        with torch.autocast(embeddings.device.type, enabled=False):
            embeddings = gather_embeddings(in_full_precision(embeddings))
            labels = gather_labels(labels)
            mined = self.miner(embeddings, labels) if self.miner else None
            loss = self.compute_metric_loss(embeddings, labels, mined)
            # DDP waits for the loss's parameters also if a batch has no pairs.
            loss = loss + 0.0 * sum(p.sum() for p in self.metric_loss.parameters())
            losses = dict(
                loss_metric=self.metric_weight * self._warmup() * loss,
                embedding_spread=embedding_spread(embeddings),
            )
            share = self._active_share(embeddings, labels)
            if share is not None:
                losses['active_triplets'] = share
        return losses

    def _active_share(
        self, embeddings: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor | None:
        """Return the share of active triplets; ``None`` for losses without triplets."""
        loss = self.metric_loss
        if isinstance(loss, TripletMarginLoss):
            return active_triplets(embeddings, labels, loss.distance, loss.margin)
        return getattr(loss, 'active_share', None)

    def _warmup(self) -> float:
        """Return the factor of ``metric_weight`` in this epoch, in (0, 1]."""
        if not self.warmup_epochs:
            return 1.0
        if self.epoch is None:
            raise RuntimeError(
                f'warmup_epochs={self.warmup_epochs} needs the epoch: add '
                "dict(type='mmimbal.SetEpochHook') to custom_hooks"
            )
        return min(1.0, (self.epoch + 1) / (self.warmup_epochs + 1))


def check_labels(
    labels: torch.Tensor, data_samples: list[DataSample], num_classes: int
) -> None:
    """Raise a ValueError that names the first image with a label outside 0..K-1."""
    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        index = int(outside.nonzero()[0])
        image = data_samples[index].get('img_path', f'image {index} of the batch')
        raise ValueError(
            f'label {labels[index]} of {image} is outside the {num_classes} classes of '
            'the head: set num_classes to that of the dataset'
        )


def build_metric_loss(cfg: dict, sizes: dict[str, int]) -> nn.Module:
    """Build a metric loss. Of ``sizes``, pass those that it takes and cfg does not set.

    Raises:
        KeyError: If no loss of that name is registered.
        TypeError: If the type is a function.
    """
    component = cfg['type']
    if isinstance(component, str):
        with MODELS.switch_scope_and_registry(cfg.get('_scope_')) as registry:
            component = registry.get(component)
    if component is None:
        return MODELS.build(cfg)  # raises a KeyError that names the registry
    component = inspect.unwrap(component)
    if not inspect.isclass(component):
        raise TypeError(
            f'metric loss {cfg["type"]} must be an nn.Module, not a function'
        )
    accepted = _init_parameters(component)
    default_args = {name: size for name, size in sizes.items() if name in accepted}
    return MODELS.build(cfg, default_args=default_args)


def _init_parameters(component: type) -> set[str]:
    """Return argument names of ``__init__``; with ``**kwargs`` also of its parents."""
    names: set[str] = set()
    for parent in component.__mro__:
        if '__init__' not in vars(parent):
            continue
        parameters = inspect.signature(parent.__init__).parameters.values()
        names |= {parameter.name for parameter in parameters}
        if all(parameter.kind != parameter.VAR_KEYWORD for parameter in parameters):
            break
    return names
