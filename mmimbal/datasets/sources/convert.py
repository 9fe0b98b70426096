"""Images that are converted to 8 bits when they are written."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

from mmimbal.datasets.sources.depth import check_one_depth
from mmimbal.datasets.sources.dicom import is_dicom, patient_of, read_dicom
from mmimbal.datasets.sources.pixel_range import read_in_range
from mmimbal.datasets.sources.source import Image, Source
from mmimbal.datasets.spelling import check_near_equal


def with_conversions(
    source: Source, value_range: tuple[float, float] | None = None
) -> Source:
    """Return a download whose images are all of 8 bits.

    DICOM files become PNG files, as a viewer shows them; a patient is a group, unless
    the download names groups.

    Args:
        source: The download.
        value_range: Values of other images that become 0 and 255; they are not
            converted if ``None``.

    Raises:
        FileNotFoundError: If an image is missing.
        ImportError: If there are DICOM files, but pydicom is not installed.
        ValueError: If a DICOM file cannot be read, a patient has two spellings, or the
            range would be that of images of 8 bits and of others.
    """
    if value_range:
        paths = (image.path for image in source.images if image.pixels is None)
        check_one_depth(paths, *value_range)
    images, patients, converted = [], [], 0
    for image in source.images:
        if image.pixels is None and image.path.is_file() and is_dicom(image.path):
            patient = patient_of(image.path)
            converted += 1
            image = _as_png(image, partial(read_dicom, image.path))
            if patient and not image.group:
                patients.append(patient)
                image = replace(image, group=patient)
        elif image.pixels is None and value_range:
            image = _as_png(image, partial(read_in_range, image.path, *value_range))
        images.append(image)
    unsure = list(source.unsure)
    if 1 < len(images) == len(patients) and len(set(patients)) == 1:
        images = [replace(image, group=None) for image in images]
        unsure.append(
            f'all images name the same patient, {patients[0]}: each is a group of its '
            'own'
        )
        patients = []
    check_near_equal(patients, 'patients of DICOM files', '--src')
    if converted:
        unsure.append(
            f'{converted} DICOM files are converted to PNG with their own window; '
            f'{len(patients)} of them name the patient who is their group'
        )
    return replace(source, images=images, unsure=unsure)


def _as_png(image: Image, pixels: Callable) -> Image:
    name = PurePosixPath(image.name or Path(image.path).name)
    return replace(image, pixels=pixels, name=f'{name}.png')
