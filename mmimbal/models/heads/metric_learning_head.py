"""Stage 1: a linear classifier and a metric loss on the same features."""

import inspect

import torch
from mmpretrain.models import LinearClsHead
from mmpretrain.structures import DataSample
from pytorch_metric_learning.losses import TripletMarginLoss
from torch import nn

from mmimbal.models.losses.batch_all_triplet import in_full_precision
from mmimbal.models.losses.gather import gather_embeddings, gather_labels
from mmimbal.models.losses.monitors import active_triplets, embedding_spread
from mmimbal.models.losses.pml import TAKES_NO_MINER
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
            pytorch-metric-learning. It is given ``num_classes``, ``in_channels``
            and ``embedding_size`` if it takes them.
        metric_weight: Weight of the metric loss beside cross-entropy. At 0 it is not
            computed: a single run switches it off so in stage 2.
        warmup_epochs: Over how many epochs that weight grows to its value: by equal
            steps, from a first one above 0. Needs ``mmimbal.SetEpochHook``.
        embedding_size: Size D of the projection; ``None`` for no projection.
        miner: Config of a miner whose pairs or triplets the loss is computed on.
        natural_size: How many images at the start of a rank's batch are drawn as they
            come; cross-entropy sees only those, the metric loss all. All if ``None``.
        init_cfg: As in :class:`mmpretrain.models.LinearClsHead`; the projection keeps
            torch's default initialization.
        **kwargs: As in :class:`mmpretrain.models.LinearClsHead`.

    Raises:
        ValueError: If a weight or margin is negative, a size below 1, the loss takes no
            miner, a label is outside the classes, or the labels are mixed.
        RuntimeError: If there is a warm-up, and nothing tells the epoch.
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
        """Take the epoch, counted from 0, for the warm-up."""
        self.epoch = epoch

    def compute_metric_loss(
        self, embeddings: torch.Tensor, labels: torch.Tensor, mined: tuple | None
    ) -> torch.Tensor:
        """Compute the metric loss; for heads whose loss wants more than this.

        Args:
            embeddings: Of all ranks, (N, D).
            labels: (N,).
            mined: Pairs or triplets, if there is a miner.
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
            # A batch without pairs: DDP waits for the loss's parameters all the same.
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
        """Return the share of active triplets, of losses that have triplets."""
        loss = self.metric_loss
        if isinstance(loss, TripletMarginLoss):
            return active_triplets(embeddings, labels, loss.distance, loss.margin)
        return getattr(loss, 'active_share', None)

    def _warmup(self) -> float:
        """Return the share of its weight that the metric loss has in this epoch."""
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
            'the head: set num_classes to those of the data set'
        )


def build_metric_loss(cfg: dict, sizes: dict[str, int]) -> nn.Module:
    """Build a metric loss, giving it those of ``sizes`` that it takes and lacks.

    Raises:
        KeyError: If there is no loss of that name.
        TypeError: If it is a function.
    """
    component = cfg['type']
    if isinstance(component, str):
        with MODELS.switch_scope_and_registry(cfg.get('_scope_')) as registry:
            component = registry.get(component)
    if component is None:
        return MODELS.build(cfg)  # raises the KeyError, naming the registry
    component = inspect.unwrap(component)
    if not inspect.isclass(component):
        raise TypeError(
            f'metric loss {cfg["type"]} must be an nn.Module, not a function'
        )
    wanted = _init_parameters(component)
    default_args = {name: size for name, size in sizes.items() if name in wanted}
    return MODELS.build(cfg, default_args=default_args)


def _init_parameters(component: type) -> set[str]:
    """Name what ``__init__`` takes, of its parents too as long as it passes on."""
    names: set[str] = set()
    for parent in component.__mro__:
        if '__init__' not in vars(parent):
            continue
        parameters = inspect.signature(parent.__init__).parameters.values()
        names |= {parameter.name for parameter in parameters}
        if all(parameter.kind != parameter.VAR_KEYWORD for parameter in parameters):
            break
    return names
