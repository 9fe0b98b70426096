"""The weight of the metric loss, which may change from epoch to epoch."""

import math
from dataclasses import dataclass

from mmimbal.models.needs import EPOCH, missing


@dataclass
class MetricWeight:
    """A weight that may grow at the start of training, and fall until its end.

    Attributes:
        start: The weight, >= 0. With 0, the control, there is no metric loss at all.
        final: Weight at the last epoch, in 0..start; it falls to this value by a
            cosine. It does not fall if ``None``, or in a training of one epoch. A
            control ignores it.
        warmup_epochs: Number of epochs in which it grows, in equal steps above 0.
        epoch: The epoch, from 0 on.
        max_epochs: Number of epochs.

    Raises:
        ValueError: If a number is negative or not finite, or ``final`` is above
            ``start``.
    """

    start: float
    final: float | None = None
    warmup_epochs: int = 0
    epoch: int | None = None
    max_epochs: int | None = None

    def __post_init__(self) -> None:
        numbers = (self.start, self.final or 0, self.warmup_epochs)
        if not all(isinstance(number, int | float) for number in numbers):
            raise ValueError(
                f'metric_weight={self.start!r}, final_metric_weight={self.final!r} and '
                f'warmup_epochs={self.warmup_epochs!r} must be numbers'
            )
        if not all(math.isfinite(number) and number >= 0 for number in numbers):
            raise ValueError(
                f'metric_weight={self.start}, final_metric_weight={self.final} and '
                f'warmup_epochs={self.warmup_epochs} must be finite and not negative'
            )
        if 0 < self.start < (self.final or 0):
            raise ValueError(
                f'final_metric_weight={self.final} must not be above '
                f'metric_weight={self.start}: the weight falls. To let it grow, use '
                'warmup_epochs'
            )

    @property
    def changes(self) -> bool:
        """Whether the weight depends on the epoch."""
        return self.start > 0 and (self.warmup_epochs > 0 or self.final is not None)

    def set_max_epochs(self, max_epochs: int) -> None:
        """Set the number of epochs.

        Raises:
            ValueError: If the warm-up would never end.
        """
        if self.changes and self.warmup_epochs >= max_epochs:
            raise ValueError(
                f'warmup_epochs={self.warmup_epochs} leaves no epoch for the metric '
                f'weight {self.start}: max_epochs is {max_epochs}'
            )
        self.max_epochs = max_epochs

    def value(self) -> float:
        """Return the weight in this epoch.

        Raises:
            RuntimeError: If it changes, but the epoch is unknown.
        """
        if not self.changes:
            return self.start
        falls = self.final is not None
        if self.epoch is None or (falls and self.max_epochs is None):
            raise RuntimeError(missing(EPOCH, 'a metric weight that changes'))
        weight = self.start
        if falls:
            passed = self.epoch / max(1, self.max_epochs - 1)
            share = (1 + math.cos(math.pi * min(1.0, passed))) / 2
            weight = self.final + (self.start - self.final) * share
        return weight * min(1.0, (self.epoch + 1) / (self.warmup_epochs + 1))
