"""Measure time and peak memory with many images and many classes.

Metrics, bootstrap (2,000 resamples) and the report of simulated predictions; and the
training of a head on simulated features on disk: 512 numbers, 4 views, float16, 4
epochs. There is no peer. Memory is that of the whole process, without files that are
mapped into it: the system can drop those. Each row is measured once, the last one three
times, in turns.
"""

import os
import statistics
import tempfile
import threading
import time
from functools import cache
from pathlib import Path

import numpy as np
import torch
from _comparison import TINY_START, Case, Labels, compare, in_own_process
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

from mmimbal.command_line.compose import compose
from mmimbal.command_line.experiment import parse_experiment
from mmimbal.evaluation.bootstrap import resample
from mmimbal.evaluation.imbalance_metric import ImbalanceMetric
from mmimbal.evaluation.metrics import metrics_of
from mmimbal.evaluation.predictions import Predictions
from mmimbal.stage2.head_training import train_head
from mmimbal.visualization.report import build_report

RARER = 5  # the rarest class has exp(-5) times as many images as the most common
AT_ONCE = 1000  # images simulated at once
VIEWS, SIZE = 4, 512


def long_tailed_labels(images: int, classes: int) -> np.ndarray:
    """Draw labels, (images,), with each class at least once."""
    shares = np.exp(-RARER * np.arange(classes) / classes)
    random = np.random.default_rng(0)
    drawn = random.choice(classes, images - classes, p=shares / shares.sum())
    return random.permutation(np.append(np.arange(classes), drawn))


def simulate_scores(labels: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """Return probabilities of a model that is often right, (N, K), float32."""
    random = np.random.default_rng(seed)
    logits = random.standard_normal((len(labels), classes), dtype=np.float32)
    logits[np.arange(len(labels)), labels] += 3
    scores = np.exp(2 * logits)
    return scores / scores.sum(1, keepdims=True)


def simulate(images: int, classes: int) -> Predictions:
    """Return predictions; two images make a group."""
    labels = long_tailed_labels(images, classes)
    scores = np.empty((images, classes), np.float32)
    for start in range(0, images, AT_ONCE):
        part = slice(start, start + AT_ONCE)
        scores[part] = simulate_scores(labels[part], classes, start)
    files = np.arange(images).astype(str)
    groups = (np.arange(images) // 2).astype(str)
    return Predictions(scores, labels, files, groups, class_names(classes))


def class_names(classes: int) -> tuple[str, ...]:
    """Return names of classes."""
    return tuple(f'class{k}' for k in range(classes))


def time_metric(images: int, classes: int) -> float:
    """Return the seconds of ImbalanceMetric for one evaluation."""
    metric = ImbalanceMetric()
    metric.dataset_meta = dict(classes=class_names(classes))
    labels = long_tailed_labels(images, classes)
    elapsed = 0.0
    for start in range(0, images, AT_ONCE):
        part = labels[start : start + AT_ONCE]
        scores = torch.from_numpy(simulate_scores(part, classes, start))
        samples = [
            dict(gt_label=torch.tensor([label]), pred_score=score)
            for label, score in zip(part, scores, strict=True)
        ]
        before = time.perf_counter()
        metric.process(None, samples)
        elapsed += time.perf_counter() - before
    before = time.perf_counter()
    metric.evaluate(images)
    return elapsed + time.perf_counter() - before


def time_bootstrap(images: int, classes: int) -> float:
    """Return the seconds of all metrics on all resamples."""
    predictions = simulate(images, classes)
    before = time.perf_counter()
    measure = metrics_of(predictions.scores, predictions.labels, predictions.classes)
    resample(measure, predictions.groups)
    return time.perf_counter() - before


def time_report(images: int, classes: int) -> float:
    """Return the seconds of the report of a run."""
    predictions = simulate(images, classes)
    before = time.perf_counter()
    build_report(dict(run=predictions))
    return time.perf_counter() - before


def time_head(images: int) -> float:
    """Return the seconds of training a head with cRT on features on disk."""
    init_default_scope('mmpretrain')
    cfg = compose(parse_experiment('isic2018/64px/ce/crt'))
    cfg.train_cfg.max_epochs = VIEWS
    head = MODELS.build(cfg.model.head | dict(in_channels=SIZE))
    dataset = Labels(images)
    random = np.random.default_rng(0)
    block = random.standard_normal((AT_ONCE, SIZE), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, 'features.bin')
        with open(file, 'wb') as writing:
            for start in range(0, VIEWS * images, AT_ONCE):
                size = min(AT_ONCE, VIEWS * images - start)
                writing.write(block[:size].astype(np.float16).tobytes())
            os.fsync(writing.fileno())  # or the system writes it beside the training
        features = np.memmap(file, np.float16, 'r', shape=(VIEWS, images, SIZE))
        before = time.perf_counter()
        train_head(head, cfg, dataset, features, seed=0)
        return time.perf_counter() - before


MEASURED = dict(
    metric=time_metric, bootstrap=time_bootstrap, report=time_report, head=time_head
)


def in_this_process(what: str, size: dict) -> tuple[float, float]:
    """Return the seconds, and the peak of the memory without files, in GB."""
    peak, done = anonymous_memory(), threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, anonymous_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        elapsed = MEASURED[what](**size)
    finally:
        done.set()
        watcher.join()
    return elapsed, peak


def anonymous_memory() -> float:
    """Return the memory of this process that is not backed by files, in GB."""
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith('RssAnon'):
            return int(line.split()[1]) / 2**20
    raise OSError('/proc/self/status has no RssAnon')


@cache
def measure(what: str, start: str, **size: int) -> tuple[float, float]:
    """Do the same in a process of its own, once."""
    return in_own_process(in_this_process, start, False, what=what, size=size)


def seconds(**arguments) -> tuple[float, None, str, str]:
    """Return the duration."""
    return measure(**arguments)[0], None, '', 's'


def memory(**arguments) -> tuple[float, None, str, str]:
    """Return the peak memory."""
    return measure(**arguments)[1], None, '', 'GB'


def growth(sizes: tuple[int, int], start: str) -> tuple[float, None, str, str]:
    """Return the ratio of the durations with two numbers of images, in turns."""
    times = [
        [in_own_process(time_head, start, False, images=size) for size in sizes]
        for _ in range(3)
    ]
    short, long = (statistics.median(column) for column in zip(*times, strict=True))
    return long / short, None, '', 'times'


def cases() -> dict[str, Case]:
    """Return the cases of predictions, then those of heads."""
    found = {}
    tiny = dict(start=TINY_START, images=40, classes=5)
    for images, classes, most_seconds, most_memory in (
        (10**5, 1000, 120, 2),
        (2 * 10**4, 10**4, None, 4),
    ):
        for what in ('metric', 'bootstrap', 'report'):
            name = f'{what} of {images:,} images, {classes:,} classes'
            full = dict(what=what, start='spawn', images=images, classes=classes)
            small = tiny | dict(what=what)
            found[name] = Case(seconds, full, small, most_seconds)
            found[f'{name}: memory'] = Case(memory, full, small, most_memory)
    for images in (10**5, 3 * 10**5, 10**6):
        name = f'head on {images:,} images'
        full = dict(what='head', start='spawn', images=images)
        small = dict(what='head', start=TINY_START, images=1000)
        found[name] = Case(seconds, full, small)
        found[f'{name}: memory'] = Case(memory, full, small)
    found['head, 1,000,000 images against 100,000'] = Case(
        growth,
        dict(sizes=(10**5, 10**6), start='spawn'),
        dict(sizes=(500, 1000), start=TINY_START),
        11,
    )
    return found


CASES = cases()

if __name__ == '__main__':
    compare(__doc__, CASES)
