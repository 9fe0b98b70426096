"""Draw test images with their labels and predictions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel
from mmengine.runner import Runner
from mmpretrain.structures import DataSample

from mmimbal.engine.ddp import unwrap_model

SHORT_EDGE = 448  # text on an image of 64 pixels would be too small to read


class DrawImages(Hook):
    """Draw test images with label, prediction and score, one file per image.

    This is like MMPretrain's ``VisualizationHook`` with ``out_dir``, with three
    differences: RGB and BGR are not confused; it works with test-time augmentation
    (the last view is drawn); file names are unique, ``<number in the
    dataset>_<name>.png``. In a distributed test, only the main rank draws, and only
    the images that it has tested.

    Args:
        folder: Folder of the pictures.
        interval: Draw every N-th image.
        **options: As in ``UniversalVisualizer.visualize_cls``.
    """

    def __init__(self, folder: Path, interval: int = 1, **options) -> None:
        self.folder = folder
        self.interval = interval
        self.options = dict(resize=SHORT_EDGE) | options
        self.seen = 0

    def before_test_epoch(self, runner: Runner) -> None:
        """Start to count images."""
        self.seen = 0

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[DataSample],
    ) -> None:
        """Draw every N-th image of a batch."""
        model = unwrap_model(runner.model)
        images = data_batch['inputs']
        if isinstance(model, BaseTTAModel):
            model, images = unwrap_model(model.module), images[-1]
        is_bgr = getattr(model.data_preprocessor, 'to_rgb', False)
        for image, sample in zip(images, outputs, strict=True):
            self.seen += 1
            if (self.seen - 1) % self.interval:
                continue
            number = (self.seen - 1) * get_world_size()
            name = f'{number:06}_{Path(sample.get("img_path", "image")).stem}.png'
            runner.visualizer.visualize_cls(
                as_picture(image.flip(0) if is_bgr else image),
                sample,
                out_file=str(self.folder / name),
                **self.options,
            )


def as_picture(image: torch.Tensor) -> np.ndarray:
    """Turn an image, (3 or 1, H, W), into a uint8 array, (H, W, 3)."""
    picture = image.permute(1, 2, 0).cpu().numpy().astype('uint8')
    return picture.repeat(3, 2) if picture.shape[2] == 1 else picture


def drawing_hook(cfg: Config, folder: Path, interval: int) -> DrawImages:
    """Return a hook that draws images, with the options of the config's own hook.

    Args:
        cfg: The config.
        folder: Folder of the pictures.
        interval: Every which image is drawn.
    """
    hook = (cfg.get('default_hooks') or {}).get('visualization') or {}
    others = ('type', 'enable', 'interval', 'show', 'out_dir')
    options = {name: value for name, value in hook.items() if name not in others}
    return DrawImages(folder, interval, **options)
