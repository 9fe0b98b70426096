"""Small DICOM files are written, and every pixel is recomputed from the standard."""

import io
import sys

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, uid
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from mmimbal.datasets.sources import dicom as module
from mmimbal.datasets.sources.dicom import is_dicom, patient_of, read_dicom, window
from tests.dicom_files import write_dicom

RANDOM = np.random.default_rng(0)


def test_a_file_without_the_mark_of_dicom(tmp_path):
    stored = RANDOM.integers(0, 256, (4, 5)).astype(np.uint8)
    whole = write_dicom(tmp_path / 'whole.dcm', stored, PatientID='p1')
    old = tmp_path / 'old.dcm'
    old.write_bytes(whole.read_bytes()[132:])
    assert is_dicom(old) and patient_of(old) == 'p1'
    assert np.array_equal(read_dicom(old), read_dicom(whole))


def by_the_standard(x, c, w):
    """Return C.11.2.1.2 for one value, with 0 to 255 as output."""
    if x <= c - 0.5 - (w - 1) / 2:
        return 0
    if x > c - 0.5 + (w - 1) / 2:
        return 255
    return ((x - (c - 0.5)) / (w - 1) + 0.5) * 255


def expected(stored, shade):
    """Return the shade of each stored value, rounded, in three channels."""
    pixels = np.array([round(shade(float(x))) for x in stored.ravel()], np.uint8)
    return np.stack([pixels.reshape(stored.shape)] * 3, 2)


CT = RANDOM.integers(-200, 3000, (6, 8)).astype(np.int16)
XRAY = RANDOM.integers(0, 4096, (6, 8)).astype(np.uint16)
BYTES = RANDOM.integers(0, 256, (6, 8)).astype(np.uint8)


@pytest.mark.parametrize('kind', ['MONOCHROME1', 'MONOCHROME2'])
@pytest.mark.parametrize(
    ('stored', 'slope', 'intercept', 'centre', 'width'),
    [
        (CT, 1, -1024, 40, 400),
        (CT, 0.5, 10, [300, 7], [900, 1]),  # the first of several
        (XRAY, 2, -7, 4000.5, 1000.25),
        (BYTES, 1, 0, 128, 1),  # a threshold
        (BYTES.astype(np.int8), 1, 0, 0, 200),
    ],
)
def test_window_and_slope(tmp_path, kind, stored, slope, intercept, centre, width):
    path = write_dicom(
        tmp_path / 'x.dcm',
        stored,
        PhotometricInterpretation=kind,
        RescaleSlope=slope,
        RescaleIntercept=intercept,
        WindowCenter=centre,
        WindowWidth=width,
    )
    c, w = np.atleast_1d(centre)[0], np.atleast_1d(width)[0]

    def shade(x):
        return by_the_standard(slope * x + intercept, c, w)

    pixels = expected(stored, shade)
    assert len(np.unique(pixels)) > 1
    read = read_dicom(path)
    assert read.dtype == np.uint8 and read.flags.c_contiguous
    assert np.array_equal(read, pixels if kind == 'MONOCHROME2' else 255 - pixels)


def test_without_a_window_the_range_of_the_image_is_shown(tmp_path):
    low, high = int(CT.min()), int(CT.max())
    path = write_dicom(tmp_path / 'x', CT, RescaleSlope=2, RescaleIntercept=-50)
    pixels = expected(CT, lambda x: 255 * (x - low) / (high - low))
    assert np.array_equal(read_dicom(path), pixels)
    write_dicom(path, CT, WindowCenter=None, WindowWidth=None)
    assert np.array_equal(read_dicom(path), pixels)
    padded = CT.copy()
    padded[0] = -2000
    write_dicom(path, padded, PixelPaddingValue=-2000)
    low, high = int(CT[1:].min()), int(CT[1:].max())
    pixels = expected(padded, lambda x: max(0, 255 * (x - low) / (high - low)))
    assert np.array_equal(read_dicom(path), pixels)
    assert not read_dicom(write_dicom(path, np.full((2, 2), 700, np.uint16))).any()


def test_a_table_in_place_of_a_window(tmp_path):
    table = Dataset()
    table.LUTDescriptor = [4, 10, 12]
    table.LUTData = np.array([0, 4095, 1000, 2000], '<u2').tobytes()
    table['LUTData'].VR = 'OW'
    stored = np.array([[3, 10, 11], [12, 13, 99]], np.uint16)
    path = write_dicom(tmp_path / 'x', stored, VOILUTSequence=Sequence([table]))
    shades = np.array([[0, 0, 4095], [1000, 2000, 2000]]) * 255 / 4095
    assert np.array_equal(read_dicom(path)[..., 1], np.rint(shades))


@pytest.mark.parametrize('width', [1, 1.5, 2, 7.25, 256, 4096])
def test_every_function_of_a_window(width):
    values = np.arange(-50, 50, 0.25)
    exact = np.clip((values - 3) / width + 0.5, 0, 1)
    assert np.allclose(window(values, 3, width, 'LINEAR_EXACT'), exact)
    sigmoid = [1 / (1 + np.exp(-4 * (x - 3) / width)) for x in values]
    assert np.allclose(window(values, 3, width, 'SIGMOID'), sigmoid)
    linear = [by_the_standard(x, 3, width) / 255 for x in values]
    assert np.allclose(window(values, 3, width), linear)


def test_colours_become_bgr(tmp_path):
    colours = RANDOM.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    path = write_dicom(tmp_path / 'x', colours, WindowCenter=10, WindowWidth=5)
    assert np.array_equal(read_dicom(path), colours[..., ::-1])
    planes = np.ascontiguousarray(colours.transpose(2, 0, 1))
    write_dicom(path, colours, data=planes.tobytes(), PlanarConfiguration=1)
    assert np.array_equal(read_dicom(path), colours[..., ::-1])


def test_big_endian_and_deflated_files(tmp_path):
    deflated = write_dicom(tmp_path / 'x', CT, uid.DeflatedExplicitVRLittleEndian)
    plain = write_dicom(tmp_path / 'y', CT, uid.ImplicitVRLittleEndian)
    assert np.array_equal(read_dicom(deflated), read_dicom(plain))


def test_a_patient_and_the_magic_word(tmp_path):
    path = write_dicom(tmp_path / 'scan', CT, PatientID=' A 7 ')
    assert is_dicom(path) and patient_of(path) == 'A 7'
    assert patient_of(write_dicom(tmp_path / 'a', CT, PatientID='')) is None
    assert patient_of(write_dicom(tmp_path / 'b', CT)) is None
    for content in (b'', b'\0' * 131, b'DICM', b'\0' * 128 + b'DICOM'[:3] + b'x'):
        (tmp_path / 'c').write_bytes(content)
        (tmp_path / 'c.dcm').write_bytes(content)
        assert not is_dicom(tmp_path / 'c')
        for read in (read_dicom, patient_of):
            with pytest.raises(ValueError, match=r'c\.dcm is no DICOM file'):
                read(tmp_path / 'c.dcm')


@pytest.mark.parametrize(
    ('elements', 'message'),
    [
        (dict(NumberOfFrames=6, Rows=1), 'holds 6 frames'),
        (dict(PhotometricInterpretation='PALETTE COLOR'), 'of the kind PALETTE COLOR'),
        (dict(BitsAllocated=32), r'\(MONOCHROME2\) has 32 bits per value'),
        (dict(BitsAllocated=1), 'has 1 bits per value'),
        (
            dict(Rows=7),
            r'\(Explicit VR Little Endian\) cannot be decoded: The number of bytes',
        ),
        (dict(WindowCenter=4, WindowWidth=0), 'the width of its window is 0'),
        (
            dict(WindowCenter=4, WindowWidth=9, VOILUTFunction='CUBIC'),
            'unknown function of its window: CUBIC',
        ),
    ],
)
def test_what_is_refused(tmp_path, elements, message):
    path = write_dicom(tmp_path / 'x.dcm', CT, **elements)
    with pytest.raises(ValueError, match=rf'x\.dcm {message}|x\.dcm .*{message}'):
        read_dicom(path)


def test_no_image_in_it(tmp_path):
    path = write_dicom(tmp_path / 'x.dcm', CT)
    dataset = module._read(path)
    del dataset.PixelData
    dataset.save_as(path)
    with pytest.raises(ValueError, match=r'x\.dcm holds no image, but: CT Image'):
        read_dicom(path)


@pytest.mark.parametrize(
    ('syntax', 'packages'),
    [
        (uid.JPEGLosslessSV1, 'pylibjpeg pylibjpeg-libjpeg .or python-gdcm'),
        (uid.JPEGLSLossless, 'pylibjpeg pylibjpeg-libjpeg .or python-gdcm'),
        (uid.HTJ2KLossless, 'pylibjpeg pylibjpeg-openjpeg'),
    ],
)
def test_a_compression_names_its_package(tmp_path, syntax, packages, monkeypatch):
    monkeypatch.setattr('pydicom.pixels.common.CoderBase.is_available', False)
    path = write_dicom(tmp_path / 'x.dcm', CT, syntax, encapsulate([b'1234']))
    with pytest.raises(ImportError, match=rf'x\.dcm .*pip install {packages}'):
        read_dicom(path)


def test_a_compression_that_is_there_is_read(tmp_path):
    """Pillow is installed, and decodes JPEG of 8 bits."""
    smooth = np.add.outer(np.arange(16) * 5, np.arange(16) * 6).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(smooth).save(content, 'JPEG', quality=95)
    decoded = np.array(Image.open(content))
    data = encapsulate([content.getvalue()])
    window = dict(WindowCenter=128, WindowWidth=256)
    path = write_dicom(tmp_path / 'x.dcm', smooth, uid.JPEGBaseline8Bit, data, **window)
    assert np.array_equal(read_dicom(path)[..., 0], decoded)
    three = io.BytesIO()
    colours = np.stack([smooth, smooth.T, 255 - smooth], 2)
    Image.fromarray(colours).save(three, 'JPEG', quality=95, subsampling=0)
    data = encapsulate([three.getvalue()])
    kind = dict(PhotometricInterpretation='YBR_FULL')
    path = write_dicom(tmp_path / 'y.dcm', colours, uid.JPEGBaseline8Bit, data, **kind)
    off = read_dicom(path)[..., ::-1].astype(int) - np.array(Image.open(three))
    assert abs(off).max() <= 2  # rounding from YCbCr
    path = tmp_path / 'x.dcm'
    cut = encapsulate([content.getvalue()[:60]])
    write_dicom(path, smooth, uid.JPEGBaseline8Bit, cut)
    with pytest.raises(ValueError, match=r'cannot be decoded: .*pylibjpeg-libjpeg'):
        read_dicom(path)


def test_a_film_is_refused(tmp_path):
    path = write_dicom(tmp_path / 'x.dcm', CT, uid.MPEG2MPML, encapsulate([b'1234']))
    with pytest.raises(ValueError, match=r'MPEG2 .* which pydicom cannot decode'):
        read_dicom(path)


def test_without_pydicom_its_extra_is_named(tmp_path, monkeypatch):
    path = write_dicom(tmp_path / 'x.dcm', CT)
    monkeypatch.setitem(sys.modules, 'pydicom', None)
    with pytest.raises(ImportError, match=r"pip install 'mmimbal\[dicom\]'"):
        read_dicom(path)
    assert is_dicom(path)


def test_a_file_cut_anywhere_or_with_wrong_bytes_is_named(tmp_path):
    stored = RANDOM.integers(0, 256, (4, 5)).astype(np.uint8)
    content = write_dicom(tmp_path / 'x.dcm', stored, PatientID='p1').read_bytes()
    file, failed = tmp_path / 'y.dcm', 0
    random = np.random.default_rng(0)
    damaged = [content[:size] for size in range(132, len(content), 3)]
    for _ in range(200):
        wrong = bytearray(content)
        wrong[random.integers(132, len(wrong))] = random.integers(256)
        damaged.append(bytes(wrong))
    for each in damaged:
        file.write_bytes(each)
        for read in (patient_of, read_dicom):
            try:
                read(file)
            except (ValueError, ImportError) as error:
                failed += 1
                assert str(file) in str(error)
    assert failed > 100
