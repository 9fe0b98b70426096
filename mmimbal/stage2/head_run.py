"""One head of a sweep: a method of stage 2, its hyper-parameters and a seed."""

import copy
import itertools
from dataclasses import dataclass, field

from mmengine.config import Config
from mmpretrain.registry import MODELS


@dataclass
class HeadRun:
    """One head: a method of stage 2, its hyper-parameters and a seed.

    Attributes:
        method: Name of the method.
        cfg: Config of stage 2, without ``params``.
        params: Hyper-parameters from the search, with keys as in ``--cfg-options``.
        seed: Seed of weights, batches and noise.
    """

    method: str
    cfg: Config
    params: dict = field(default_factory=dict)
    seed: int = 0

    def __str__(self) -> str:
        """Return the hyper-parameters as short text."""
        params = (f'{key.split(".")[-1]} {value}' for key, value in self.params.items())
        return ', '.join(params)

    @property
    def is_fitted(self) -> bool:
        """Whether the head is fitted without steps, so that all seeds are equal."""
        return hasattr(MODELS.get(self.cfg.model.head.type), 'fit')

    @property
    def config(self) -> Config:
        """Config of this run, with its hyper-parameters and seed."""
        cfg = copy.deepcopy(self.cfg)
        cfg.merge_from_dict(self.params)
        cfg.randomness = dict(seed=self.seed)
        return cfg

    def candidates(self, search: dict[str, list]) -> list['HeadRun']:
        """Return one run for each combination of hyper-parameters."""
        return [
            HeadRun(
                self.method, self.cfg, dict(zip(search, values, strict=True)), self.seed
            )
            for values in itertools.product(*search.values())
        ]

    def seeds(self, number: int) -> list['HeadRun']:
        """Return one run for each seed from 0 on; only one if the head is fitted."""
        return [
            HeadRun(self.method, self.cfg, self.params, seed)
            for seed in range(1 if self.is_fitted else number)
        ]
