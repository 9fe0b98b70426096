"""Crops at fixed places of an image, for test-time augmentation."""

from mmcv.transforms import BaseTransform

from mmimbal.registry import TRANSFORMS


@TRANSFORMS.register_module()
class CropAt(BaseTransform):
    """Crop an image at a fixed place, such as a corner.

    If a side is shorter than the crop, all of it is kept, as in mmcv's ``CenterCrop``.

    Args:
        crop_size: Width and height of the crop, in pixels; one number for a square.
        x: 0 is at the left edge of the image, 0.5 in the middle, 1 at the right edge.
        y: 0 is at the upper edge, 1 at the lower edge.

    Raises:
        ValueError: If the place is not in the image.
    """

    def __init__(self, crop_size: int | tuple[int, int], x: float, y: float) -> None:
        if not 0 <= x <= 1 or not 0 <= y <= 1:
            raise ValueError(f'the place of a crop is in 0..1, got x={x} and y={y}')
        square = isinstance(crop_size, int)
        self.width, self.height = (crop_size, crop_size) if square else crop_size
        self.x = x
        self.y = y

    def transform(self, results: dict) -> dict:
        """Crop ``img``, and set ``img_shape``."""
        height, width = results['img'].shape[:2]
        top = max(0, round(self.y * (height - self.height)))
        left = max(0, round(self.x * (width - self.width)))
        crop = results['img'][top : top + self.height, left : left + self.width]
        return dict(results, img=crop, img_shape=crop.shape[:2])

    def __repr__(self) -> str:
        """Name the size and the place."""
        size = (self.width, self.height)
        return f'CropAt(crop_size={size}, x={self.x}, y={self.y})'
