"""Predict the class of many images."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import barrier, get_dist_info
from mmpretrain.registry import MODELS
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from mmimbal.datasets import CSVDataset
from mmimbal.engine.test_run.head_inputs import HeadInputs, head_of
from mmimbal.engine.test_run.tta import VIEWS, AverageScores
from mmimbal.evaluation.predictions import Predictions, predictions_for
from mmimbal.evaluation.threads import limited_threads
from mmimbal.files.lock import locked_once
from mmimbal.files.state_hash import state_hash
from mmimbal.inference.decisions import Decisions
from mmimbal.inference.image_files import ImageFiles, collate
from mmimbal.inference.image_size import size_of_images
from mmimbal.inference.neighbours import Neighbours
from mmimbal.inference.predictor import Predictor
from mmimbal.inference.table import PredictionTable

NOT_FINITE = 'the model gives probabilities that are not finite'


def predict_files(
    predictor: Predictor,
    files: Sequence[str],
    out: Path,
    batch_size: int = 64,
    workers: int = 2,
    tta: str | None = None,
    neighbours: Neighbours | None = None,
    value_range: tuple[float, float] | None = None,
) -> int:
    """Write a CSV file with a row for each image.

    Columns are ``file``, ``predicted``, the probability of each class, those of the
    decisions of a calibrated model, those of the neighbours, and ``problem``: why an
    image could not be predicted. A class with the name of another column has ``class``
    before it. The same call goes on where an earlier one was
    stopped. Each process of a distributed run predicts every W-th image.

    Args:
        predictor: The model.
        files: Paths of the images.
        out: The CSV file.
        batch_size: Images in a batch.
        workers: Number of processes that read images.
        tta: Views of each image to average over, ``'flips'`` or ``'crops'``.
        neighbours: The images of which the nearest are named, if any.
        value_range: As for :class:`mmimbal.inference.image_files.ImageFiles`.

    Returns:
        Number of images that could not be predicted; 0 in other processes than the
        first.

    Raises:
        InUseError: If another process writes the same file.
        ValueError: If an earlier run for the same file had other settings, or if
            neighbours are wanted of an ensemble, of several views, or of an index
            that another model has written; if several views are wanted of a calibrated
            model; or if the pipeline has no ``CenterCrop`` for crops.
    """
    rank, world_size = get_dist_info()
    decisions = predictor.decisions or Decisions(predictor.classes)
    if tta and predictor.decisions:
        raise ValueError(
            'the decisions of the model are for one view of each image: predict '
            'without --tta, or with the model as it was before tools/calibrate.py'
        )
    inputs = None
    others = [*decisions.columns]
    if neighbours:
        inputs = _head_inputs(predictor, tta)
        others += neighbours.columns
    taken = {'file', 'predicted', *others, 'problem'}
    of_classes: list[str] = []
    for name in predictor.classes:
        while name in taken or name in of_classes:
            name = f'class {name}'
        of_classes.append(name)
    columns = [*of_classes, *others]
    header = ('file', 'predicted', *columns, 'problem')
    settings = dict(
        model=predictor.model_hash,
        config=_hash((predictor.model_cfg, predictor.pipeline)),
        tta=tta,
        files=_hash(list(files)),
        decisions=_hash(decisions.to_dict()),
        index=neighbours and state_hash(dict(embeddings=neighbours.embeddings)),
        columns=columns,
        range=value_range and list(value_range),
    )
    own = range(rank, len(files), world_size)
    with locked_once(out) if rank == 0 else nullcontext():
        table = PredictionTable(out, header, settings, rank, world_size)
        done = table.number_done()
        with tqdm(
            total=len(own), initial=done, unit=' images', disable=None
        ) as progress:
            batches = _batches(
                predictor, files, own[done:], batch_size, workers, tta, value_range
            )
            for scores, problems, kept in batches:
                found = _cells(list(scores.values()), decisions)
                if inputs and found:
                    near = neighbours.cells(inputs.embeddings[kept])
                    found = [a + b for a, b in zip(found, near, strict=True)]
                cells = {
                    index: [*row, ''] for index, row in zip(scores, found, strict=True)
                }
                empty = [''] * (1 + len(columns))
                cells |= {index: [*empty, text] for index, text in problems.items()}
                rows = [[files[index], *cells[index]] for index in sorted(cells)]
                table.append(rows)
                progress.update(len(rows))
        barrier()
        return table.finish() if rank == 0 else 0


def _hash(value: object) -> str:
    """Return a hash of plain values."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def _head_inputs(predictor: Predictor, tta: str | None) -> HeadInputs:
    if tta:
        raise ValueError(
            'neighbours need one view of each image, but --tta has several'
        )
    return HeadInputs(head_of(predictor.model))


def _cells(scores: list[np.ndarray], decisions: Decisions) -> list[list[str]]:
    """Return the cells of images from their probabilities, (K,) each."""
    if not scores:
        return []
    calibrated = decisions.calibrate(np.stack(scores).astype(float))
    decided = decisions.cells(calibrated) if decisions.columns else [[]] * len(scores)
    return [
        [decisions.classes[row.argmax()], *(f'{p:.6f}' for p in row), *more]
        for row, more in zip(calibrated, decided, strict=True)
    ]


def predict_split(
    predictor: Predictor, folder: Path, split: str, batch_size: int = 64
) -> Predictions:
    """Return the probabilities of a model for a split, before any calibration.

    Args:
        predictor: The model.
        folder: A prepared data set.
        split: Its split.
        batch_size: Images in a batch.

    Raises:
        ValueError: If an image cannot be predicted, or the classes are others.
    """
    dataset = CSVDataset(
        str(folder), split, test_mode=True, metainfo=dict(classes=predictor.classes)
    )
    files = [str(folder / file) for file in dataset.get_files()]
    found: dict[int, np.ndarray] = {}
    indices = range(len(files))
    for scores, problems, _ in _batches(predictor, files, indices, batch_size, 0, None):
        for index, problem in problems.items():
            raise ValueError(f'{files[index]} cannot be predicted: {problem}')
        found |= scores
    scores = np.stack([found[index] for index in indices])
    return predictions_for(dataset, scores, model=predictor.model_hash)


@torch.no_grad()
def _batches(
    predictor: Predictor,
    files: Sequence[str],
    indices: Sequence[int],
    batch_size: int,
    workers: int,
    tta: str | None,
    value_range: tuple[float, float] | None = None,
) -> Iterator[tuple[dict[int, np.ndarray], dict[int, str], list[int]]]:
    """Yield probabilities, (K,), and problems of images, by index.

    Also the rows of the model's batch that have probabilities.
    """
    model, pipeline = predictor.model, predictor.pipeline
    try:
        size = size_of_images(pipeline)
    except ValueError:  # of several sizes: in a batch they would be padded
        size, batch_size = None, 1
    if tta:
        pipeline = VIEWS[tta](pipeline)
        model = MODELS.build(dict(type=AverageScores), default_args=dict(module=model))
        model.eval()
    loader = DataLoader(
        Subset(ImageFiles(files, pipeline, size, value_range), indices),
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=collate,
    )
    with limited_threads(torch.get_num_threads() - workers):
        for part in loader:
            scores, problems, kept = {}, dict(part['problems']), []
            samples = model.test_step(part['batch']) if part['batch'] else []
            for row, (index, sample) in enumerate(
                zip(part['indices'], samples, strict=True)
            ):
                found = sample.pred_score.float().cpu().numpy()
                if np.isfinite(found).all():
                    scores[index] = found
                    kept.append(row)
                else:
                    problems[index] = NOT_FINITE
            yield scores, problems, kept
