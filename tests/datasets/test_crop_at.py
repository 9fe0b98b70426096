"""Crops at fixed places."""

import numpy as np
import pytest
from mmcv.transforms import CenterCrop
from mmpretrain.registry import TRANSFORMS


def crop(image, size, x, y):
    transform = TRANSFORMS.build(dict(type='mmimbal.CropAt', crop_size=size, x=x, y=y))
    assert str(size) in repr(transform) or f'({size}, {size})' in repr(transform)
    found = transform(dict(img=image, label=3))
    assert found['img_shape'] == found['img'].shape[:2] and found['label'] == 3
    return found['img']


def test_corners():
    image = np.arange(7 * 9 * 3).reshape(7, 9, 3)
    assert np.array_equal(crop(image, 4, 0, 0), image[:4, :4])
    assert np.array_equal(crop(image, 4, 1, 0), image[:4, 5:])
    assert np.array_equal(crop(image, (6, 2), 0, 1), image[5:, :6])  # width, height
    assert np.array_equal(crop(image, (6, 2), 1, 1), image[5:, 3:])


@pytest.mark.parametrize('size', [(3, 3), (4, 3), (9, 7), (20, 3)])
def test_the_middle_is_that_of_mmcv(size):
    image = np.arange(7 * 9 * 3, dtype=float).reshape(7, 9, 3)
    expected = CenterCrop(size)(dict(img=image))['img']
    assert np.array_equal(crop(image, size, 0.5, 0.5), expected)


def test_a_place_outside_is_refused():
    with pytest.raises(ValueError, match=r'x=1\.5 and y=0'):
        crop(np.zeros((9, 9, 3)), 4, 1.5, 0)
