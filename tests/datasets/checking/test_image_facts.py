"""Each kind of file is looked at as mmcv, which trains, decodes it."""

import re
import struct
import zlib

import cv2
import imagehash
import mmcv
import numpy as np
import pytest
from PIL import Image

from mmimbal.datasets.checking import image_facts
from mmimbal.datasets.checking.check import check_dataset
from mmimbal.datasets.checking.image_facts import read_facts_of
from mmimbal.datasets.image_header import is_cut_jpeg
from mmimbal.datasets.sources.pixel_range import read_in_range
from tests.conftest import rows_of, write_index

RANDOM = np.random.default_rng(0)
COLOURS = RANDOM.integers(0, 256, (48, 40, 3), np.uint8)
PICTURE = Image.fromarray(COLOURS)
OTHER = Image.fromarray(255 - COLOURS)
HALF = np.dstack([COLOURS, np.full((48, 40), 128, np.uint8)])
FULL = np.dstack([COLOURS, np.full((48, 40), 255, np.uint8)])
TWELVE = RANDOM.integers(0, 4096, (48, 40)).astype(np.uint16)
TWELVE[0, :2] = 0, 4095
FLOATS = RANDOM.random((48, 40), np.float32)
SIGNED = RANDOM.integers(-999, 3000, (48, 40)).astype(np.int16)


def by_pillow(picture, kind, **options):
    return lambda path: picture.save(path, format=kind, **options)


def by_opencv(values, kind):
    def write(path):
        _, content = cv2.imencode(kind, values)
        path.write_bytes(content)

    return write


TWO = dict(save_all=True, append_images=[OTHER])
READABLE = {
    'grey': by_pillow(PICTURE.convert('L'), 'PNG'),
    'palette': by_pillow(PICTURE.convert('P'), 'PNG'),
    'bits': by_pillow(PICTURE.convert('1'), 'PNG'),
    'cmyk': by_pillow(PICTURE.convert('CMYK'), 'JPEG'),
    'cmyk tiff': by_pillow(PICTURE.convert('CMYK'), 'TIFF'),
    'lab': by_pillow(PICTURE.convert('LAB'), 'TIFF'),
    'half': by_pillow(Image.fromarray(HALF), 'PNG'),
    'opaque': by_pillow(Image.fromarray(FULL), 'PNG'),
    'hole': by_pillow(PICTURE.quantize(9), 'PNG', transparency=0),
    'pages': by_pillow(PICTURE, 'TIFF', **TWO),
    'gif': by_pillow(PICTURE, 'GIF', **TWO),
    'webp': by_pillow(PICTURE, 'WEBP', lossless=True, **TWO),
    'jpeg': by_pillow(PICTURE, 'JPEG'),
    'jpeg 2000': by_pillow(PICTURE, 'JPEG2000'),
    '12 bits': by_opencv(TWELVE, '.png'),
    '12 bits tiff': by_opencv(TWELVE, '.tiff'),
    'signed': by_opencv(SIGNED, '.tiff'),
    'pfm': by_opencv(np.dstack([FLOATS] * 3), '.pfm'),
}


@pytest.mark.parametrize('name', READABLE)
def test_pixels_are_those_of_training(tmp_path, name):
    path = tmp_path / 'x.png'  # whatever it holds
    READABLE[name](path)
    decoded = mmcv.imread(str(path), backend='cv2')
    facts = read_facts_of(path)
    assert not facts.error and facts.size == decoded.shape[1::-1]
    values = facts.values
    assert (values.shown_low, values.shown_high) == (decoded.min(), decoded.max())
    assert values.shown_mean == pytest.approx(decoded.mean())
    gray = Image.fromarray(decoded[..., ::-1]).convert('L')
    bits = np.unpackbits(facts.bits).astype(bool)
    assert (bits != imagehash.phash(gray).hash.ravel()).sum() <= 4  # from rounding
    cv2.imwrite(str(tmp_path / 'same.png'), decoded)
    assert read_facts_of(tmp_path / 'same.png').pixels == facts.pixels
    decoded[0, 0, 0] ^= 1
    cv2.imwrite(str(tmp_path / 'other.png'), decoded)
    assert read_facts_of(tmp_path / 'other.png').pixels != facts.pixels


def cut(write, size):
    def write_part(path):
        write(path)
        path.write_bytes(path.read_bytes()[:size])

    return write_part


def write_huge(path):
    """Write a PNG file whose header claims 40,000 x 30,000 pixels."""
    by_pillow(PICTURE, 'PNG')(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack('>II', 40000, 30000)
    content[29:33] = struct.pack('>I', zlib.crc32(content[12:29]))
    path.write_bytes(content)


DICOM = b'\0' * 128 + b'DICM' + b'\0' * 9
UNREADABLE = {
    'floats': (
        by_pillow(Image.fromarray(FLOATS), 'TIFF'),
        'float32 values from 0.* --range 0 1 maps them to 8 bits',
    ),
    '32 bits': (
        by_pillow(Image.fromarray(TWELVE.astype(np.int32) * 20), 'TIFF'),
        r'int32 values from 0 to 81900: .* --range 0 81900 maps',
    ),
    'tga': (by_pillow(PICTURE, 'TGA'), 'does not read TGA files: save it as PNG'),
    'ico': (by_pillow(PICTURE, 'ICO'), 'does not read ICO files: save it as PNG'),
    'nothing': (lambda path: path.write_bytes(b''), 'the file is empty'),
    'text': (lambda path: path.write_text('a note'), 'no image that OpenCV'),
    'half a png': (cut(by_pillow(PICTURE, 'PNG'), 3000), 'damaged, or cut off'),
    'half a jpeg': (cut(by_pillow(PICTURE, 'JPEG'), 900), 'damaged, or cut off'),
    'huge': (
        write_huge,
        '40000 x 30000 pixels: OpenCV, which training uses, reads at most 1,073,74',
    ),
    'dicom': (lambda path: path.write_bytes(DICOM), 'DICOM file: tools/prepare'),
    'folder': (lambda path: path.mkdir(), 'IsADirectoryError'),
}


@pytest.mark.parametrize('name', UNREADABLE)
def test_what_training_cannot_read_has_its_reason(tmp_path, name):
    write, reason = UNREADABLE[name]
    path = tmp_path / 'x.png'
    write(path)
    with pytest.raises(Exception):  # noqa: B017 - of training
        image_facts.LOADER.transform(dict(img_path=str(path)))
    assert re.search(reason, read_facts_of(path).error)


def test_pillow_does_not_decide(tmp_path, monkeypatch):
    PICTURE.save(tmp_path / 'x.png')
    facts = read_facts_of(tmp_path / 'x.png')

    def refuse(*args, **kwargs):
        raise OSError

    monkeypatch.setattr(Image, 'open', refuse)
    without = read_facts_of(tmp_path / 'x.png')
    assert (without.error, without.pixels) == ('', facts.pixels)
    assert (facts.header.mode, without.header.mode) == ('RGB', '')


@pytest.fixture
def check(tmp_path):
    """Return a function that changes a sound data set, and returns the findings."""
    rows = rows_of(['a', 'b'], {'train': 12, 'val': 12, 'test': 12})
    folder = write_index(tmp_path / 'set', rows, size=48)

    def changed(**writers):
        for name, write in writers.items():
            write(folder / 'images' / f'{name}.png')
        findings = check_dataset(folder, processes=1)['findings']
        return {f['what']: f['examples'] for f in findings}

    return changed


def test_kinds_of_images(check):
    names = ('cmyk', 'half', 'opaque', 'hole', 'pages', 'gif', 'grey', 'lab')
    writers = {f'train_a_{n}': READABLE[name] for n, name in enumerate(names)}
    found = check(**writers)
    found.pop('identical images', None)
    assert {
        what.split(',')[0].split(':')[0]: examples for what, examples in found.items()
    } == {
        'images that are not 8-bit RGB': [
            *(f'images/train_a_{n}.png RGBA' for n in (1, 2)),
            *(f'images/train_a_{n}.png P' for n in (3, 5)),
            'images/train_a_6.png L',
        ],
        'images whose colours depend on the decoder': [
            'images/train_a_0.png CMYK',
            'images/train_a_7.png LAB',
        ],
        'images with transparency': [f'images/train_a_{n}.png' for n in (1, 3)],
        'images with several pages or frames': [
            f'images/train_a_{n}.png 2' for n in (4, 5)
        ],
    }


def test_unused_bits(check, tmp_path):
    dark = np.minimum(TWELVE, 600)
    found = check(
        train_a_0=by_opencv(TWELVE, '.png'),
        train_a_1=by_opencv(dark, '.png'),
        val_b_0=by_opencv(SIGNED, '.tiff'),
    )
    mean = ((TWELVE >> 8).mean() + (dark >> 8).mean()) / 2
    what = next(what for what in found if 'uint16' in what)
    assert what == (
        'images of uint16 values from 0 to 4095, 12 of 16 bits: training sees a mean '
        f'of {mean:.0f} of 255. tools/prepare_dataset.py ... --range 0 4095 maps them '
        'to 8 bits'
    )
    assert found[what] == [
        'images/train_a_0.png 0 to 4095, in training 0 to 15',
        'images/train_a_1.png 0 to 600, in training 0 to 2',
    ]
    low, high = SIGNED.min(), SIGNED.max()
    what = next(what for what in found if 'int16' in what and 'uint16' not in what)
    assert f'from {low} to {high}: ' in what and f'--range {low} {high} maps' in what
    assert len(found) == 2
    mapped = read_in_range(tmp_path / 'set/images/train_a_0.png', 0, 4095)
    found = check(
        train_a_0=by_opencv(mapped, '.png'),
        train_a_1=by_opencv(TWELVE << 4, '.png'),
        val_b_0=by_opencv(COLOURS, '.png'),
    )
    (what,) = found
    assert what == (
        f'images of uint16 values from 0 to {4095 << 4}, of which training uses the '
        'upper 8 bits'
    )


def test_little_contrast(check):
    mask = (COLOURS > 99).astype(np.uint8)
    found = check(
        train_a_0=by_opencv(np.full_like(COLOURS, 7), '.png'),
        train_a_1=by_opencv(mask, '.png'),
        train_a_2=by_opencv(mask * 15, '.png'),
        train_a_3=by_opencv(mask * 16 + 100, '.png'),
        train_a_4=READABLE['pfm'],
    )
    assert found.pop('images that are all one value') == ['images/train_a_0.png 7']
    what = 'images with almost no contrast: fewer than 16 of 256 values'
    assert found.pop(what) == [
        'images/train_a_1.png 0 to 1',
        'images/train_a_2.png 0 to 15',
    ]
    (what,) = found
    assert 'float32' in what and '--range 0 1 maps' in what


def test_a_jpeg_without_an_end(tmp_path, check, monkeypatch):
    """OpenCV 4 decodes it, with gray in place of what is missing."""
    PICTURE.save(tmp_path / 'x.jpg')
    whole = (tmp_path / 'x.jpg').read_bytes()
    assert not is_cut_jpeg(whole) and not is_cut_jpeg(whole + b'appended')
    assert all(is_cut_jpeg(whole[:-n]) for n in (1, 2, 200))
    preview = whole[:2] + b'\xff\xe1' + whole + whole[2:]
    assert is_cut_jpeg(preview[:-9]) and not is_cut_jpeg(preview)
    assert not is_cut_jpeg(b'\xff\xda')  # of another format
    PICTURE.save(tmp_path / 'x.png')
    (tmp_path / 'x.jpg').write_bytes(whole[:-200])
    decoded = image_facts.LOADER.transform(dict(img_path=str(tmp_path / 'x.png')))
    monkeypatch.setattr(image_facts.LOADER, 'transform', lambda _: decoded)
    assert read_facts_of(tmp_path / 'x.jpg').is_cut
    assert not read_facts_of(tmp_path / 'x.png').is_cut


def listed_as(folder, suffix):
    """Write a data set; return the path of an image with another suffix, to write."""
    write_index(folder, rows_of(['a', 'b'], dict(train=2)), size=64)
    index = folder / 'index.csv'
    index.write_text(index.read_text().replace('a_0.png', f'a_0.{suffix}'))
    return folder / 'images' / f'train_a_0.{suffix}'


def test_a_jpeg_with_a_missing_part(tmp_path):
    """The decoder fills it and goes on; it only prints a line that names no file."""
    file = listed_as(tmp_path, 'jpg')
    PICTURE.resize((64, 64)).save(file)
    whole = file.read_bytes()
    half = whole[: len(whole) // 2] + b'\xff\xd9'
    for content, damaged in ((whole, False), (half, True)):
        file.write_bytes(content)
        report = check_dataset(tmp_path, processes=1)
        found = [f for f in report['findings'] if f['what'].startswith('JPEG or TI')]
        assert bool(found) == damaged
    (example,) = found[0]['examples']
    assert example.startswith('images/train_a_0.jpg (premature end of data')


def test_a_tiff_with_a_damaged_part(tmp_path):
    """OpenCV decodes it, and only prints that something is wrong."""
    file = listed_as(tmp_path, 'tif')
    shades = np.arange(200 * 200, dtype=np.uint32).reshape(200, 200) % 251
    picture = Image.fromarray(shades.astype(np.uint8))
    picture.save(file, compression='tiff_lzw')
    whole = file.read_bytes()
    middle, part = len(whole) // 2, len(whole) // 8
    zeroed = whole[:middle] + bytes(part) + whole[middle + part :]
    for content, damaged in ((whole, False), (zeroed, True)):
        file.write_bytes(content)
        report = check_dataset(tmp_path, processes=1)
        found = [f for f in report['findings'] if f['what'].startswith('JPEG or TI')]
        assert bool(found) == damaged
    (example,) = found[0]['examples']
    assert re.match(r'images/train_a_0.tif \(\w', example)  # libtiff's words


@pytest.mark.parametrize(('value', 'rotated'), [(0, False), (1, False), (6, True)])
def test_an_orientation_that_is_not_defined(value, rotated, tmp_path):
    exif = Image.Exif()
    exif[274] = value
    PICTURE.save(tmp_path / 'x.jpg', exif=exif)
    assert read_facts_of(tmp_path / 'x.jpg').header.is_rotated == rotated
