"""Read training curves from the log of a run."""

import json
from collections import defaultdict
from pathlib import Path
from statistics import mean

VALIDATION = ('balanced_accuracy', 'macro_f1')


def read_curves(work_dir: Path) -> dict[str, dict[int, float]]:
    """Return losses and validation metrics by epoch, from mmengine's scalars.

    A loss is the mean of its logged values in an epoch. If a run was resumed, values of
    later logs replace earlier ones. Without logs, the result is empty.

    Args:
        work_dir: Work dir of the training.
    """
    curves: dict[str, dict[int, float]] = {}
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        losses: dict[str, dict[int, list[float]]] = {}
        for line in file.read_text(encoding='utf-8').splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:  # truncated, for example by a full disk
                continue
            if 'loss' in row and 'epoch' in row:
                for name in row:
                    if name.startswith('loss'):
                        by_epoch = losses.setdefault(name, defaultdict(list))
                        by_epoch[row['epoch']].append(row[name])
            for name in VALIDATION:
                if name in row:
                    curves.setdefault(f'val {name}', {})[row['step']] = row[name]
        for name, by_epoch in losses.items():
            means = {epoch: mean(values) for epoch, values in by_epoch.items()}
            curves.setdefault(name, {}).update(means)
    return curves
