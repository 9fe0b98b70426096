"""Predict the class of many images."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import barrier, get_dist_info
from mmpretrain.registry import MODELS
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from mmimbal.evaluation.tta import AverageScores, load_views
from mmimbal.inference.image_files import ImageFiles, collate
from mmimbal.inference.predictor import Predictor
from mmimbal.inference.table import PredictionTable


def predict_files(
    predictor: Predictor,
    files: Sequence[str],
    out: Path,
    batch_size: int = 64,
    workers: int = 2,
    tta: bool = False,
) -> int:
    """Write a CSV file with a row for each image.

    Columns are ``file``, ``predicted``, the probability of each class, and ``problem``:
    why an image could not be predicted. The same call goes on where an earlier one was
    stopped. Each process of a distributed run predicts every W-th image.

    Args:
        predictor: The model.
        files: Paths of the images.
        out: The CSV file.
        batch_size: Images in a batch.
        workers: Number of processes that read images.
        tta: Whether to average over the image and its mirror image.

    Returns:
        Number of images that could not be predicted, in this call and process.

    Raises:
        ValueError: If an earlier run for the same file had other settings.
    """
    rank, world_size = get_dist_info()
    header = ('file', 'predicted', *predictor.classes, 'problem')
    settings = dict(
        members=list(map(str, predictor.members)), tta=tta, files=len(files)
    )
    table = PredictionTable(out, header, settings, rank, world_size)
    own = range(rank, len(files), world_size)
    done = table.number_done()
    broken = 0
    with tqdm(total=len(own), initial=done, unit=' images', disable=None) as bar:
        batches = _batches(predictor, files, own[done:], batch_size, workers, tta)
        for scores, problems in batches:
            rows = []
            for index in sorted(scores.keys() | problems.keys()):
                if index in problems:
                    cells = ['', *[''] * len(predictor.classes), problems[index]]
                else:
                    label = predictor.classes[int(scores[index].argmax())]
                    cells = [label, *(f'{p:.6f}' for p in scores[index].tolist()), '']
                rows.append([files[index], *cells])
            table.append(rows)
            broken += len(problems)
            bar.update(len(rows))
    barrier()
    if rank == 0:
        table.finish()
    return broken


@torch.no_grad()
def _batches(
    predictor: Predictor,
    files: Sequence[str],
    indices: Sequence[int],
    batch_size: int,
    workers: int,
    tta: bool,
) -> Iterator[tuple[dict[int, torch.Tensor], dict[int, str]]]:
    """Yield probabilities, (K,), and problems of images, by index."""
    model, pipeline = predictor.model, predictor.pipeline
    if tta:
        dataset = dict(pipeline=pipeline)
        cfg = Config(dict(test_dataloader=dict(dataset=dataset)))
        load_views(cfg)
        pipeline = cfg.test_dataloader.dataset.pipeline
        model = MODELS.build(dict(type=AverageScores), default_args=dict(module=model))
        model.eval()
    loader = DataLoader(
        Subset(ImageFiles(files, pipeline), indices),
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=collate,
    )
    for part in loader:
        scores = {}
        if part['batch']:
            samples = model.test_step(part['batch'])
            scores = {
                index: sample.pred_score.float().cpu()
                for index, sample in zip(part['indices'], samples, strict=True)
            }
        yield scores, part['problems']
