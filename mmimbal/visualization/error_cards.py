"""Small images of errors, with what the model looked at."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from PIL import Image

from mmimbal.inference.worst_errors import ErrorImage

PIXELS = 128  # of the longer side
QUALITY = 85  # of JPEG
COLOUR = 0.6  # share of the colours of the map; the rest is the image, in grey


def cards_of(errors: Sequence[ErrorImage]) -> list[dict[str, str]]:
    """Return the texts and the two pictures of each error, as data URIs."""
    return [
        dict(
            file=each.file,
            true=each.true,
            predicted=each.predicted,
            probability=f'{100 * each.probability:.1f}',
            image=data_uri(thumbnail(each.image)),
            activation=data_uri(overlay(each.image, each.activation)),
            map_size=' x '.join(map(str, each.activation.shape)),
        )
        for each in errors
    ]


def thumbnail(image: np.ndarray) -> Image.Image:
    """Return an image, (H, W, 3), uint8, whose longer side has 128 pixels."""
    scale = PIXELS / max(image.shape[:2])
    height, width = (max(1, round(scale * size)) for size in image.shape[:2])
    return Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)


def overlay(image: np.ndarray, activation: np.ndarray) -> Image.Image:
    """Return a thumbnail under its activation map, (h, w), in 0..1."""
    small = thumbnail(image)
    resized = Image.fromarray(activation.astype(np.float32)).resize(
        small.size, Image.Resampling.BILINEAR
    )
    colours = 255 * colormaps['viridis'](np.asarray(resized))[..., :3]
    grey = np.asarray(small.convert('L'))[..., None]
    mixed = (1 - COLOUR) * grey + COLOUR * colours
    return Image.fromarray(mixed.round().astype(np.uint8))


def data_uri(picture: Image.Image) -> str:
    """Return a picture as the address of an image that is part of the page."""
    content = io.BytesIO()
    picture.save(content, 'JPEG', quality=QUALITY)
    return f'data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}'
