"""How many runs of a comparison to train at the same time, and how long they take."""

import copy
import time
from collections.abc import Sequence
from math import ceil
from statistics import median

import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmimbal.command_line.compose import compose
from mmimbal.command_line.experiment import parse_experiment
from mmimbal.evaluation.threads import limited_threads
from mmimbal.experiments.grid_run import GridRun
from mmimbal.experiments.own_data import OwnData

GAIN_OF_THREADS = 0.9  # t threads are t ** 0.9 times as fast as one
BESIDE_OTHERS = 1.25  # time of a step beside other runs, which share the memory
# Features of an image, and all heads with and without a search, as a share of a
# training step for the image. Measured with MobileNetV2 on ISIC 2018.
SHARE_OF_FEATURES, SHARE_OF_HEADS = 0.4, {True: 1.6, False: 0.3}
TIMED_STEPS = 3


def workers_for(runs: int, cores: int) -> int:
    """Return the number of runs to train at the same time on a CPU.

    Three runs on two cores are done earlier one after another, on both cores.

    Args:
        runs: Number of runs.
        cores: Number of cores.
    """

    def duration(workers: int) -> float:
        return ceil(runs / workers) / (cores // workers) ** GAIN_OF_THREADS

    return min(range(1, cores + 1), key=duration)


def estimated_seconds(
    runs: Sequence[GridRun], data: OwnData, workers: int, threads: int
) -> float:
    """Estimate how long some runs take, from some steps on random images.

    Args:
        runs: The runs.
        data: Their data set.
        workers: Number of runs at the same time.
        threads: Threads of each run.
    """
    configs = {
        name: compose(parse_experiment(name)) for name in {r.experiment for r in runs}
    }
    dataset, profile, _ = runs[0].experiment.split('/')
    plain = compose(parse_experiment(f'{dataset}/{profile}/ce'))  # no views
    per_row = _seconds_per_row(plain, threads)
    ends = [0.0] * workers
    for run in runs:  # each starts on the worker that is free first
        cfg = copy.deepcopy(configs[run.experiment])
        cfg.merge_from_dict(dict(run.options))
        ends.sort()
        ends[0] += per_row * (_rows_of_training(cfg, data) + _rows_of_sweep(run, data))
    return max(ends) * (BESIDE_OTHERS if workers > 1 else 1)


def _rows_of_training(cfg, data: OwnData) -> float:
    """Return how many rows of batches go through the net in training."""
    batch_size = cfg.train_dataloader.batch_size
    batches = cfg.train_dataloader.get('batch_sampler') or {}
    natural = batches.get('natural_size') or batch_size
    views = max(step.get('metric_views', 1) for step in cfg.train_pipeline)
    rows = natural + (batch_size - natural) * views
    return cfg.train_cfg.max_epochs * data.counts['train'].sum() / natural * rows


def _rows_of_sweep(run: GridRun, data: OwnData) -> float:
    """Return how many rows of training take as long as the features and heads."""
    images = {split: counts.sum() for split, counts in data.counts.items()}
    extracted = run.views * images['train'] + images['val'] + images['test']
    return SHARE_OF_FEATURES * extracted + SHARE_OF_HEADS[run.search] * images['train']


def _seconds_per_row(cfg, threads: int) -> float:
    """Return the time of a training step, by the images in it."""
    init_default_scope('mmpretrain')
    model = MODELS.build(cfg.model)
    model.train()
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    model = model.to(device, memory_format=torch.channels_last)
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    rows = cfg.train_dataloader.batch_size
    size = next(
        step['scale']
        for step in cfg.train_pipeline
        if step['type'] in ('RandomResizedCrop', 'RandomCrop') and 'scale' in step
    )
    images = torch.randint(0, 256, (rows, 3, size, size), dtype=torch.uint8)
    samples = [DataSample().set_gt_label(0) for _ in range(rows)]
    times = []
    with limited_threads(threads):
        for _ in range(TIMED_STEPS):
            start = time.perf_counter()
            model.train_step(dict(inputs=images, data_samples=samples), optim_wrapper)
            if device == 'cuda':
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
    return median(times) / rows


def readable(seconds: float) -> str:
    """Return a duration in words, such as ``1 h 20 min``."""
    minutes = max(1, round(seconds / 60))
    hours, minutes = divmod(minutes, 60)
    return f'{hours} h {minutes} min' if hours else f'{minutes} min'
