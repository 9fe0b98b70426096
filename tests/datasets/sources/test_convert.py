"""DICOM files and images of more than 8 bits become PNG files."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from mmimbal.datasets.sources.convert import with_conversions
from mmimbal.datasets.sources.folders import read_folders
from tests.conftest import write_dataset


def write_dicom(path: Path, pixels: np.ndarray, patient: str) -> None:
    """Write gray values of 16 bits without a window."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = '1.2.840.10008.5.1.4.1.1.7'
    meta.MediaStorageSOPInstanceUID = '1.2.3'
    file = FileDataset(str(path), {}, file_meta=meta, preamble=b'\0' * 128)
    file.SOPClassUID = meta.MediaStorageSOPClassUID
    file.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    file.PatientID = patient
    file.Rows, file.Columns = pixels.shape
    file.BitsAllocated = file.BitsStored = 16
    file.HighBit, file.SamplesPerPixel, file.PixelRepresentation = 15, 1, 0
    file.PhotometricInterpretation = 'MONOCHROME2'
    file.PixelData = pixels.astype('<u2').tobytes()
    file.save_as(path, enforce_file_format=True)


@pytest.fixture
def export(tmp_path):
    """Ten patients with two images each; half of the files have no suffix."""
    random = np.random.default_rng(0)
    for number in range(20):
        suffix = '.dcm' if number % 4 < 2 else ''
        file = tmp_path / 'src' / 'ab'[number % 2] / f'IM{number}{suffix}'
        write_dicom(file, random.integers(0, 4096, (8, 6)), f'p{number // 2}')
    return tmp_path / 'src'


@pytest.mark.parametrize('patient', ['N/A', 'ANONYMOUS', 'anonymized', 'the same'])
def test_patients_that_say_nothing_are_no_groups(tmp_path, patient):
    for number in range(4):
        file = tmp_path / 'src' / 'ab'[number % 2] / f'{number}.dcm'
        write_dicom(file, np.zeros((4, 4)), patient)
    source = with_conversions(read_folders(tmp_path / 'src'))
    assert {image.group for image in source.images} == {None}
    same = [line for line in source.unsure if 'name the same patient, the same' in line]
    assert len(same) == (patient == 'the same')
    assert '; 0 of them name the patient' in source.unsure[-1]


def test_patients_of_two_spellings_are_refused(tmp_path):
    for number in range(8):
        file = tmp_path / 'src' / 'ab'[number % 2] / f'{number}.dcm'
        write_dicom(file, np.zeros((4, 4)), ['1', '001', '2', '3'][number // 2])
    with pytest.raises(ValueError, match=r"patients .* differ .*'001' .* and '1' "):
        with_conversions(read_folders(tmp_path / 'src'))


def test_images_of_8_bits_stay_as_they_are_beside_others(tmp_path):
    random = np.random.default_rng(0)
    shown = random.integers(0, 256, (8, 8), dtype=np.uint8)
    deep = random.integers(0, 4096, (8, 8)).astype(np.uint16)
    for name, pixels in (('a', shown), ('b', deep)):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / '0.png'), pixels)
    source = with_conversions(read_folders(tmp_path), (0, 4095))
    found = {image.label: image.pixels()[..., 0] for image in source.images}
    assert np.array_equal(found['a'], shown)
    assert np.array_equal(found['b'], np.rint(deep * (255 / 4095)).astype(np.uint8))


def test_dicom_files_are_written_as_png_with_their_patients(export, tmp_path):
    source = with_conversions(read_folders(export))
    assert len(source.images) == 20 and not source.left_out
    assert [image.group for image in source.images if image.label == 'a'] == [
        f'p{n // 2}' for n in sorted(range(0, 20, 2), key=lambda n: names_of(export, n))
    ]
    assert '20 DICOM files are converted' in source.unsure[-1]
    write_dataset(source, tmp_path / 'out')
    written = cv2.imread(str(tmp_path / 'out/images/a/IM0.dcm.png'))
    stored = np.random.default_rng(0).integers(0, 4096, (8, 6)).astype(float)
    low, high = stored.min(), stored.max()
    expected = (stored - low) / (high - low) * 255
    assert written.shape == (8, 6, 3)
    assert np.abs(written - expected[..., None]).max() <= 1


def names_of(folder: Path, number: int) -> str:
    (file,) = [p for p in folder.rglob(f'IM{number}*') if p.stem == f'IM{number}']
    return file.name


def test_groups_of_the_download_stay(export):
    source = read_folders(export)
    images = [replace(image, group='own') for image in source.images]
    converted = with_conversions(replace(source, images=images))
    assert {image.group for image in converted.images} == {'own'}


def test_a_range_becomes_eight_bits(tmp_path):
    values = np.array([[0, 100, 4095, 5000]], np.uint16)
    (tmp_path / 'src/a').mkdir(parents=True)
    cv2.imwrite(str(tmp_path / 'src/a/x.png'), values)
    (tmp_path / 'src/b').mkdir()
    cv2.imwrite(str(tmp_path / 'src/b/y.png'), values)
    source = with_conversions(read_folders(tmp_path / 'src'), (0, 4095))
    image, _ = source.images
    assert image.name == 'a/x.png.png'
    assert image.pixels()[0, :, 0].tolist() == [0, round(100 / 4095 * 255), 255, 255]
    same, _ = with_conversions(read_folders(tmp_path / 'src')).images
    assert same.pixels is None


@pytest.mark.parametrize('suffix', ['png', 'tif', 'jpg'])
def test_a_range_of_images_of_two_depths_is_refused(suffix, tmp_path):
    """It would make nearly all values of those of 8 bits white."""
    for name, values in (
        (f'a/1.{suffix}', np.full((4, 4), 200, np.uint8)),
        ('b/2.tif', np.full((4, 4), 0.5, np.float32)),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        assert cv2.imwrite(str(tmp_path / name), values)
    source = read_folders(tmp_path)
    message = rf'--range 0 1 would be for all images, .*1\.{suffix} has 8 bits, and .*2'
    with pytest.raises(ValueError, match=message):
        with_conversions(source, (0, 1))
    with_conversions(source, (0, 256))  # for the others alone
    (tmp_path / f'a/1.{suffix}').unlink()
    cv2.imwrite(str(tmp_path / 'a/1.tif'), np.full((4, 4), 0.2, np.float32))
    with_conversions(read_folders(tmp_path), (0, 1))
