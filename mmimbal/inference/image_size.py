"""The size of the images that a pipeline makes."""

from collections.abc import Mapping, Sequence

import numpy as np
from mmcv.transforms import Compose

# Height and width of two pairs of images. The same size is made of the first pair by a
# Resize or Pad, and of the second one by a crop.
TRIAL_SIZES = (((211, 307), (307, 211)), ((1999, 3001), (3001, 1999)))


def size_of_images(pipeline: Sequence[Mapping]) -> tuple[int, int]:
    """Return height and width of the images that a pipeline makes.

    Raises:
        ValueError: If they are not the same for all images, or this cannot be tried.
    """
    names = [str(step['type']) for step in pipeline]
    steps = [
        step
        for step, name in zip(pipeline, names, strict=True)
        if 'LoadImage' not in name and 'Pack' not in name
    ]
    shapes = []
    for pair in TRIAL_SIZES:
        try:
            shapes = [size_after(steps, size) for size in pair]
        except Exception as error:  # transforms of the user raise errors of any type
            raise ValueError(
                f'{", ".join(names)} cannot be tried on an array: {error}'
            ) from None
        if len(set(shapes)) == 1:
            return shapes[0]
    raise ValueError(
        'the pipeline makes images of several sizes, such as '
        f'{" and ".join(f"{height} x {width}" for height, width in shapes)}: one is '
        'needed. Add a Resize or CenterCrop to the test pipeline'
    )


def size_after(steps: Sequence[Mapping], size: tuple[int, int]) -> tuple[int, int]:
    """Return height and width of an image after the steps of a pipeline."""
    image = np.zeros((*size, 3), np.uint8)
    return Compose(steps)(dict(img=image, img_shape=size))['img'].shape[:2]
