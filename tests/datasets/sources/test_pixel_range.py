import cv2
import numpy as np
import pytest
from PIL import Image

from mmimbal.datasets.image_header import PNG
from mmimbal.datasets.sources.depth import check_one_depth
from mmimbal.datasets.sources.pixel_range import read_in_range

RANDOM = np.random.default_rng(0)


def naive(values, low, high):
    """Return 0 to 255 for each value, one after another, in exact numbers."""
    pixels = [
        int(min(max(255 * (float(v) - low) / (high - low), 0), 255) + 0.5)
        for v in values.ravel()
    ]
    return np.array(pixels).reshape(values.shape)


def write(path, values):
    assert cv2.imwrite(str(path), values)
    return path


@pytest.mark.parametrize(
    ('suffix', 'values', 'low', 'high'),
    [
        ('png', RANDOM.integers(0, 4096, (9, 7)).astype(np.uint16), 0, 4095),
        ('png', RANDOM.integers(0, 4096, (9, 7, 3)).astype(np.uint16), 100, 3000.5),
        ('tif', RANDOM.integers(0, 65536, (9, 7)).astype(np.uint16), 0, 65535),
        ('tif', RANDOM.integers(-900, 3000, (9, 7)).astype(np.int16), -160, 240),
        ('tif', RANDOM.random((9, 7), np.float32), 0.1, 0.8),
        ('tif', RANDOM.random((9, 7, 3), np.float32), -1, 1),
        ('png', RANDOM.integers(0, 256, (9, 7, 3)).astype(np.uint8), 0, 255),
    ],
)
def test_every_pixel_is_mapped(tmp_path, suffix, values, low, high):
    pixels = read_in_range(write(tmp_path / f'x.{suffix}', values), low, high)
    assert pixels.shape == (9, 7, 3) and pixels.dtype == np.uint8
    expected = naive(values, low, high)
    if values.ndim == 2:
        expected = np.stack([expected] * 3, 2)
    assert np.array_equal(pixels, expected)
    outside = (values < low).any() or (values > high).any()
    assert not outside or {0, 255} <= set(pixels.ravel().tolist())


def test_a_rotation_is_applied_and_transparency_left_out(tmp_path):
    values = RANDOM.integers(0, 4096, (4, 6)).astype(np.uint16)
    turned = Image.Exif()
    turned[274] = 6  # the right side of what is stored is the bottom
    Image.fromarray(values).save(tmp_path / 'turned.png', exif=turned)
    pixels = read_in_range(tmp_path / 'turned.png', 0, 4095)
    assert np.array_equal(pixels[..., 0], naive(np.rot90(values, -1), 0, 4095))
    colours = RANDOM.integers(0, 4096, (4, 6, 4)).astype(np.uint16)
    pixels = read_in_range(write(tmp_path / 'clear.png', colours), 0, 4095)
    assert np.array_equal(pixels, naive(colours[..., :3], 0, 4095))


@pytest.mark.parametrize('limits', [(5, 5), (9, 2), (0, np.inf), (np.nan, 3)])
def test_a_range_that_is_none(tmp_path, limits):
    path = write(tmp_path / 'x.png', np.zeros((2, 2), np.uint16))
    with pytest.raises(ValueError, match=r'the range is .* the lower one first'):
        read_in_range(path, *limits)


def test_what_cannot_be_mapped(tmp_path):
    for content in (b'', b'no image', b'\x89PNG\r\n\x1a\n'):
        (tmp_path / 'x.png').write_bytes(content)
        with pytest.raises(ValueError, match=r'x\.png cannot be decoded by OpenCV'):
            read_in_range(tmp_path / 'x.png', 0, 1)
    holes = np.array([[0, np.nan], [1, np.nan]], np.float32)
    with pytest.raises(ValueError, match=r'x\.tif holds NaN in 2 of 4 values'):
        read_in_range(write(tmp_path / 'x.tif', holes), 0, 1)
    with pytest.raises(FileNotFoundError, match=r'none\.png'):
        read_in_range(tmp_path / 'none.png', 0, 1)


def test_whether_a_range_fits_is_asked_of_images_that_can_be_read(tmp_path):
    """The others have a message of their own, in a table or where they are read."""
    (tmp_path / 'x.png').write_bytes(PNG)
    (tmp_path / 'x.tif').write_bytes(b'II*')
    paths = [tmp_path / name for name in ('x.png', 'x.tif', 'gone.tif')]
    check_one_depth(paths, 0, 1)
    paths.append(write(tmp_path / 'y.tif', np.zeros((2, 2), np.float32)))
    paths.append(write(tmp_path / 'z.png', np.zeros((2, 2), np.uint8)))
    with pytest.raises(ValueError, match=r'z\.png has 8 bits, and \S*y\.tif has more'):
        check_one_depth(paths, 0, 1)
    with pytest.raises(ValueError, match='the lower one first'):
        check_one_depth([], 1, 0)
