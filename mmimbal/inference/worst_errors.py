"""The images that a model is most wrong about, and what it looked at."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mmimbal.evaluation.predictions import Predictions
from mmimbal.inference.class_activation import class_activation_maps
from mmimbal.inference.image_files import ImageFiles, collate
from mmimbal.inference.predictor import Predictor

NUMBER = 12
TOLERANCE = 0.05  # of a probability: predictions may be in mixed precision


@dataclass(frozen=True)
class ErrorImage:
    """An image with a wrong prediction.

    Attributes:
        file: Its path.
        true: Name of its class.
        predicted: Name of the predicted class.
        probability: Of the predicted class, in 0..1.
        image: What the model saw, RGB, (H, W, 3), uint8.
        activation: Class activation map of the predicted class, (h, w), in 0..1.
    """

    file: str
    true: str
    predicted: str
    probability: float
    image: np.ndarray
    activation: np.ndarray


def worst_errors(run: Predictions, number: int = NUMBER) -> np.ndarray:
    """Return the indices of the errors with the highest probabilities, worst first."""
    wrong = np.flatnonzero(run.scores.argmax(1) != run.labels)
    order = np.argsort(-run.scores[wrong].max(1), kind='stable')
    return wrong[order[:number]]


def model_of(run: Predictions) -> Path:
    """Return the checkpoint, or the folder of members, that made the predictions.

    Raises:
        FileNotFoundError: If it is not known, or not there.
    """
    checkpoint = run.about.get('checkpoint')
    if not checkpoint or not Path(str(checkpoint)).exists():
        raise FileNotFoundError(
            f'the model of the predictions ({checkpoint or "unknown"}) is not there: '
            'name it with --model'
        )
    return Path(str(checkpoint))


@torch.no_grad()
def show_errors(
    predictor: Predictor, run: Predictions, folder: Path, number: int = NUMBER
) -> list[ErrorImage]:
    """Return the worst errors with their images and class activation maps.

    Args:
        predictor: The model that has made the predictions.
        run: Its predictions.
        folder: The folder that the files of the predictions are in.
        number: How many errors, at most.

    Raises:
        FileNotFoundError: If an image is not in the folder.
        ValueError: If an image cannot be read, the model has other classes or gives
            other probabilities, or has no class activation maps.
    """
    if predictor.classes != run.classes:
        raise ValueError(
            f'the model has the classes {", ".join(predictor.classes)}, but the '
            f'predictions have {", ".join(run.classes)}: name their model with --model'
        )
    made_by = run.about.get('model')  # older predictions do not tell it
    if made_by and made_by != predictor.model_hash:
        raise ValueError(
            f'the model is not that of the predictions, {run.about.get("checkpoint")}: '
            'name their model with --model'
        )
    chosen = worst_errors(run, number)
    if not len(chosen):
        return []
    return [_show(predictor, run, index, folder) for index in chosen]


def _show(
    predictor: Predictor, run: Predictions, index: int, folder: Path
) -> ErrorImage:
    """Return one error; alone, because a batch would pad images of several sizes."""
    file = folder / str(run.files[index])
    batch = _load(predictor, file)
    (image,) = batch['inputs']
    (sample,) = predictor.model.test_step(batch)
    _check_same_model(sample.pred_score.float().cpu().numpy(), run.scores[index], file)
    predicted = int(run.scores[index].argmax())
    inputs = predictor.model.data_preprocessor(batch)['inputs']
    label = torch.tensor([predicted], device=inputs.device)
    (activation,) = class_activation_maps(predictor.model, inputs, label)
    return ErrorImage(
        str(run.files[index]),
        run.classes[run.labels[index]],
        run.classes[predicted],
        float(run.scores[index, predicted]),
        _rgb(image),
        activation.float().cpu().numpy(),
    )


def _load(predictor: Predictor, file: Path) -> dict:
    """Return a batch of one image."""
    if not file.is_file():
        raise FileNotFoundError(
            f'no image {file}: give --images the folder of the data set, which the '
            'files of the predictions are relative to'
        )
    loaded = collate([ImageFiles([str(file)], predictor.pipeline)[0]])
    for problem in loaded['problems'].values():
        raise ValueError(f'{file} cannot be read: {problem}')
    return loaded['batch']


def _check_same_model(scores: np.ndarray, expected: np.ndarray, file: Path) -> None:
    """Raise a ValueError if the probabilities of a model are not those of the run."""
    label = np.abs(scores - expected).argmax()
    found, stored = scores[label], expected[label]
    if abs(found - stored) > TOLERANCE:
        raise ValueError(
            f'the model is not that of the predictions: for {file}, it gives '
            f'{found:.3f} instead of {stored:.3f}. Name their model with --model; '
            'predictions with --tta cannot be explained'
        )


def _rgb(image: torch.Tensor) -> np.ndarray:
    """Return an image of the pipeline, which reads BGR, (C, H, W), as RGB bytes."""
    if image.dtype != torch.uint8:  # normalized by the pipeline
        low, high = image.min(), image.max()
        image = ((image - low) / (high - low).clamp(min=1e-12) * 255).byte()
    return image.flip(0).expand(3, -1, -1).permute(1, 2, 0).numpy().copy()
