"""A model as an ONNX file, from images of 8 bits to probabilities."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.model import BaseModel
from torch import nn

from mmimbal.evaluation.recalibration import LOWEST, Calibration
from mmimbal.files.atomic import atomic_write
from mmimbal.inference.image_files import ImageFiles, collate
from mmimbal.inference.image_size import size_of_images
from mmimbal.inference.predictor import Predictor

INPUT, OUTPUT = 'images', 'probabilities'
HOW_TO_INSTALL = "pip install 'mmimbal[onnx]'"
LARGEST = 1536 * 2**20  # bytes; torch writes the weights of larger models elsewhere


class FromBytes(nn.Module):
    """A classifier that takes RGB images of 8 bits and returns probabilities.

    Args:
        model: A classifier of MMPretrain or an ensemble, in eval mode.
        calibration: Calibrates the probabilities.
    """

    def __init__(
        self, model: BaseModel, calibration: Calibration | None = None
    ) -> None:
        super().__init__()
        preprocessor = model.data_preprocessor
        self.model = model
        self.wants_rgb = preprocessor.to_rgb
        mean = getattr(preprocessor, 'mean', torch.zeros(1, 1, 1))
        std = getattr(preprocessor, 'std', torch.ones(1, 1, 1))
        self.register_buffer('mean', mean.detach().clone().float())
        self.register_buffer('std', std.detach().clone().float())
        self.is_calibrated = calibration is not None
        if calibration:
            scale = torch.tensor(calibration.scale, dtype=torch.float32)
            self.register_buffer('scale', scale)
            offset = torch.from_numpy(calibration.offset).float()
            self.register_buffer('offset', offset)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return probabilities, (N, K), of RGB images, (N, 3, H, W), uint8."""
        inputs = images.float()
        if not self.wants_rgb:
            inputs = inputs.flip(1)
        inputs = (inputs - self.mean) / self.std
        if hasattr(self.model, 'probabilities'):
            scores = self.model.probabilities(inputs)
        else:
            scores = self.model(inputs).float().softmax(1)
        if not self.is_calibrated:
            return scores
        return (scores.clamp(min=LOWEST).log() * self.scale + self.offset).softmax(1)


def check_packages(compares: bool) -> None:
    """Check that the packages are there that :func:`write_onnx` needs.

    Args:
        compares: Whether :func:`difference_from_torch` follows.

    Raises:
        ImportError: If one is not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401

        if compares:
            import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ImportError(f'{error}. Install: {HOW_TO_INSTALL}') from None


def check_fits_in_one_file(state: dict[str, torch.Tensor]) -> None:
    """Raise a ValueError if the weights of a model are too large for one ONNX file."""
    size = sum(value.numel() * value.element_size() for value in state.values())
    if size > LARGEST:
        raise ValueError(
            f'the weights have {size / 1e9:.1f} GB, but one ONNX file holds at most '
            f'{LARGEST / 1e9:.1f} GB: publish without --onnx, or fewer members'
        )


def write_onnx(predictor: Predictor, file: Path, size: tuple[int, int]) -> None:
    """Write a model as an ONNX file, with any number of images in a batch.

    Args:
        predictor: The model.
        file: The file to write.
        size: Height and width of the images.

    Raises:
        ImportError: If onnx or onnxscript is not installed.
    """
    check_packages(compares=False)
    calibration = predictor.decisions and predictor.decisions.calibration
    model = FromBytes(predictor.model, calibration).cpu().eval()
    example = torch.zeros((2, 3, *size), dtype=torch.uint8)
    program = torch.onnx.export(
        model,
        (example,),
        dynamo=True,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes=({0: torch.export.Dim('batch', min=1)},),
        verbose=False,
    )
    with atomic_write(file) as unfinished:
        program.save(str(unfinished))


def difference_from_torch(
    predictor: Predictor, file: Path, images: Sequence[str]
) -> tuple[float, int]:
    """Compare the probabilities of ONNX and PyTorch.

    Args:
        predictor: The model.
        file: The ONNX file.
        images: Paths of images.

    Returns:
        The largest difference, and the number of images that could be predicted.

    Raises:
        ImportError: If onnxruntime is not installed.
        ValueError: If no image can be read, or a probability is not finite.
    """
    check_packages(compares=True)
    session = open_session(file)
    size = size_of_images(predictor.pipeline)
    dataset = ImageFiles(images, predictor.pipeline, size)
    largest, found = 0.0, 0
    for start in range(0, len(images), 16):
        indices = range(start, min(start + 16, len(images)))
        part = collate([dataset[index] for index in indices])
        if part['batch'] is None:
            continue
        inputs = torch.stack(part['batch']['inputs'])
        with torch.no_grad():
            samples = predictor.model.test_step(part['batch'])
        expected = np.stack([sample.pred_score.cpu().numpy() for sample in samples])
        if predictor.decisions:
            expected = predictor.decisions.calibrate(expected)
        rgb = inputs.flip(1).numpy().astype(np.uint8)  # pipelines read BGR
        (scores,) = session.run([OUTPUT], {INPUT: rgb})
        for what, values in ((file, scores), ('PyTorch', expected)):
            if not np.isfinite(values).all():
                raise ValueError(f'{what} gives probabilities that are not finite')
        largest = max(largest, float(np.abs(scores - expected).max()))
        found += len(inputs)
    if not found:
        raise ValueError(f'none of the {len(images)} images can be predicted')
    return largest, found


def open_session(file: Path):
    """Return a session of onnxruntime on the CPU."""
    import onnxruntime

    return onnxruntime.InferenceSession(str(file), providers=['CPUExecutionProvider'])
