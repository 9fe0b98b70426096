"""Check the arguments of a sweep before it starts."""

import copy
from pathlib import Path

from mmengine.config import Config
from torch.utils.data import Dataset

from mmimbal.command_line.options import check_options
from mmimbal.datasets import get_class_counts, get_class_names
from mmimbal.stage2.config import stage2_config
from mmimbal.stage2.head_run import HeadRun


def wanted_checkpoints(
    names: list[str], methods: dict[str, HeadRun], seeds: int
) -> list[tuple[str, int]]:
    """Return pairs of method and seed from ``METHOD[:SEED]``.

    Raises:
        ValueError: If a pair is not in the sweep.
    """
    wanted = []
    for name in names:
        method, _, seed = name.partition(':')
        known_seeds = (
            [str(r.seed) for r in methods[method].seeds(seeds)]
            if method in methods
            else []
        )
        if (seed or '0') not in known_seeds:
            known = (
                f'seeds {", ".join(known_seeds)}'
                if known_seeds
                else f'methods {", ".join(methods)}'
            )
            raise ValueError(
                f'--checkpoints {name} is not in the sweep; known are {known}'
            )
        wanted.append((method, int(seed or 0)))
    return wanted


def check_metric(metric: str, dataset: Dataset) -> None:
    """Raise a ValueError if a metric is not defined on the validation images."""
    counts = dict(zip(get_class_names(dataset), get_class_counts(dataset), strict=True))
    recalls = [f'recall/{name}' for name, count in counts.items() if count]
    names = ['balanced_accuracy', 'macro_f1', *recalls]
    if metric in names:
        return
    of_class = metric.removeprefix('recall/')
    if of_class != metric and counts.get(of_class) == 0:
        raise ValueError(f'--metric {metric}: {of_class} has no validation image')
    raise ValueError(f'--metric {metric} is unknown; known are {", ".join(names)}')


def apply_options(
    stage1: Config, options: dict, method: Config, checkpoint: Path
) -> Config:
    """Return the config of stage 1 with options; each must have an effect on stage 2.

    Raises:
        ValueError: If an option has no effect.
    """
    check_options(options, stage1)
    before = stage2_config(stage1, method, checkpoint).to_dict()
    for key, value in options.items():
        changed = copy.deepcopy(stage1)
        changed.merge_from_dict({key: value})
        same = stage2_config(changed, method, checkpoint).to_dict() == before
        if same and changed.to_dict() != stage1.to_dict():
            raise ValueError(
                f'--cfg-options {key} would have no effect: a sweep takes only images '
                'and backbone from the config of stage 1. Heads, losses and schedules '
                'come from --methods'
            )
    stage1.merge_from_dict(options)
    return stage1
