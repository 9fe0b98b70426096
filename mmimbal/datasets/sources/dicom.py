"""Read DICOM files as 8-bit images. Needs pydicom (the extra ``dicom``)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmimbal.datasets.sources.pixel_range import to_8_bits
from mmimbal.datasets.spelling import is_unknown

if TYPE_CHECKING:
    from pydicom import Dataset

SUFFIXES = ('.dcm', '.dicom')
MAGIC = b'DICM'
MAGIC_OFFSET = 128  # bytes
COLOURS = ('RGB', 'YBR_FULL', 'YBR_FULL_422', 'YBR_ICT', 'YBR_RCT')
GRAYS = ('MONOCHROME1', 'MONOCHROME2')
DECODERS = {
    'JPEG 2000': 'pylibjpeg pylibjpeg-openjpeg',
    'JPEG': 'pylibjpeg pylibjpeg-libjpeg',
}


def is_dicom(path: Path) -> bool:
    """Return whether a file is a DICOM file, by its suffix or its first bytes."""
    return path.suffix.lower() in SUFFIXES or _has_mark(path)


def _has_mark(path: Path) -> bool:
    with open(path, 'rb') as file:
        file.seek(MAGIC_OFFSET)
        return file.read(len(MAGIC)) == MAGIC


def patient_of(path: Path) -> str | None:
    """Return the patient id of a DICOM file, ``None`` if it says nothing.

    Raises:
        ImportError: If pydicom is not installed.
        ValueError: If the file is no DICOM file.
    """
    with _damage_named(path):
        header = _read(path, stop_before_pixels=True, specific_tags=['PatientID'])
        patient = str(header.get('PatientID') or '').strip()
    is_anonymous = patient.casefold().startswith('anonym')
    return None if is_unknown(patient) or is_anonymous else patient


def read_dicom(path: Path) -> np.ndarray:
    """Read the image of a DICOM file as a viewer shows it.

    Gray values are rescaled (slope and intercept, or a table), and the first window
    is mapped to 0 to 255 (DICOM PS3.3 C.11.2.1.2). Without a window, the first VOI
    table is used, or else the full range of the image, without padding. MONOCHROME1
    is inverted.

    Returns:
        The image in BGR, (H, W, 3), uint8.

    Raises:
        ImportError: If pydicom, or its package for this compression, is not installed.
        ValueError: If the file is no DICOM file, holds no image or several ones, or
            one that is damaged or of a kind that is not supported.
    """
    with _damage_named(path):
        dicom = _read(path)
        kind = _check(dicom, path)
        stored = _decode(dicom, path)
    try:
        if kind in COLOURS:
            return np.ascontiguousarray(stored[..., ::-1])
        gray = _to_gray(dicom, stored)
    except (ValueError, NotImplementedError, TypeError, AttributeError) as error:
        raise ValueError(f'{path} cannot be shown: {error}') from None
    if kind == 'MONOCHROME1':
        gray = 255 - gray
    return np.repeat(gray[..., None], 3, axis=2)


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turn errors of a damaged file, of any type, into a ValueError that names it."""
    try:
        yield
    except Exception as error:
        if isinstance(error, ImportError) or str(path) in str(error):
            raise
        reason = ' '.join(str(error).split())
        raise ValueError(
            f'{path} is damaged: {type(error).__name__}: {reason}'
        ) from None


def _read(path: Path, **options) -> 'Dataset':
    try:
        from pydicom import dcmread
        from pydicom.errors import InvalidDicomError
        from pydicom.uid import ImplicitVRLittleEndian
    except ImportError:
        raise ImportError(
            f"{path} is read with pydicom: pip install 'mmimbal[dicom]'"
        ) from None
    try:
        if _has_mark(path):
            return dcmread(path, **options)
        dicom = dcmread(path, force=True)  # as older exports are
        if 'SOPClassUID' not in dicom:
            raise InvalidDicomError('it has no mark and no class of DICOM')
        if 'TransferSyntaxUID' not in dicom.file_meta:
            dicom.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        return dicom
    except (InvalidDicomError, EOFError, NotImplementedError) as error:
        raise ValueError(f'{path} is no DICOM file: {error}') from None


def _check(dicom: 'Dataset', path: Path) -> str:
    """Return the kind of image, such as ``'MONOCHROME2'``.

    Raises:
        ValueError: If this kind of image is not supported.
    """
    if 'PixelData' not in dicom:
        name = dicom.file_meta.get('MediaStorageSOPClassUID')
        raise ValueError(
            f'{path} holds no image, but: {name.name if name else "unknown"}. Leave it '
            'out'
        )
    frames = int(dicom.get('NumberOfFrames') or 1)
    if frames > 1:
        raise ValueError(
            f'{path} holds {frames} frames: write those that you need as files of '
            'their own, with one label each'
        )
    kind, bits = dicom.get('PhotometricInterpretation'), dicom.get('BitsAllocated')
    if kind not in (*COLOURS, *GRAYS):
        raise ValueError(
            f'{path} is of the kind {kind}; supported are '
            f'{", ".join(GRAYS + COLOURS)}. Convert it to PNG'
        )
    if bits not in ((8,) if kind in COLOURS else (8, 16)):
        raise ValueError(
            f'{path} ({kind}) has {bits} bits per value; supported are 8, and 16 for '
            'gray images. Convert it to PNG'
        )
    return kind


def _decode(dicom: 'Dataset', path: Path) -> np.ndarray:
    """Return the stored values, (H, W), or RGB, (H, W, 3)."""
    from pydicom.pixels import get_decoder, pixel_array

    syntax = dicom.file_meta.get('TransferSyntaxUID')
    name = syntax.name if syntax else 'unknown'
    package = next((p for start, p in DECODERS.items() if start in name), None)
    advice = f': pip install {package} (or python-gdcm)' if package else ''
    try:
        decoder = get_decoder(syntax)
    except (NotImplementedError, TypeError, AttributeError):
        raise ValueError(
            f'{path} is compressed with {name}, which pydicom cannot decode. Convert '
            'it to PNG'
        ) from None
    if not decoder.is_available:
        raise ImportError(f'{path} is compressed with {name}{advice}')
    try:
        return pixel_array(dicom)
    except Exception as error:  # decoders raise errors of any type
        if package:
            advice = f'. If it is not damaged, another decoder may read it{advice}'
        reason = ' '.join(str(error).split())
        raise ValueError(f'{path} ({name}) cannot be decoded: {reason}{advice}') from (
            error
        )


def _to_gray(dicom: 'Dataset', stored: np.ndarray) -> np.ndarray:
    """Apply rescaling and the window to stored values; return (H, W), uint8."""
    from pydicom.pixels import apply_modality_lut, apply_voi

    values = apply_modality_lut(stored, dicom)
    centre, width = _first(dicom, 'WindowCenter'), _first(dicom, 'WindowWidth')
    if centre is not None and width is not None:
        function = str(dicom.get('VOILUTFunction') or 'LINEAR').upper()
        return to_8_bits(window(values, centre, width, function), 0, 1)
    if dicom.get('VOILUTSequence'):
        bits = dicom.VOILUTSequence[0].LUTDescriptor[2]
        indices = np.rint(values).astype(np.int64)
        return to_8_bits(apply_voi(indices, dicom), 0, 2**bits - 1)
    shown = values[stored != dicom.get('PixelPaddingValue')]
    low, high = (shown.min(), shown.max()) if shown.size else (0, 0)
    return to_8_bits(values, low, high if high > low else low + 1)


def _first(dicom: 'Dataset', name: str) -> float | None:
    """Return an element of one or several numbers: the first, ``None`` if empty."""
    numbers = np.atleast_1d(dicom[name].value if name in dicom else None)
    return None if numbers.size == 0 or numbers[0] is None else float(numbers[0])


def window(
    values: np.ndarray, centre: float, width: float, function: str = 'LINEAR'
) -> np.ndarray:
    """Apply a window as PS3.3 C.11.2.1.2 and C.11.2.1.3 define it.

    Args:
        values: Rescaled values.
        centre: Centre of the window.
        width: Width of the window.
        function: ``'LINEAR'``, ``'LINEAR_EXACT'`` or ``'SIGMOID'``.

    Returns:
        Brightness, 0 to 1, of the shape of ``values``.

    Raises:
        ValueError: If the window is too narrow, or the function is unknown.
    """
    if function not in ('LINEAR', 'LINEAR_EXACT', 'SIGMOID'):
        raise ValueError(f'unknown function of its window: {function}')
    if width < 1 if function == 'LINEAR' else width <= 0:
        raise ValueError(f'the width of its window is {width:g}')
    values = np.asarray(values, np.float64)
    if function == 'SIGMOID':
        return 1 / (1 + np.exp(-4 * (values - centre) / width))
    if function == 'LINEAR':
        centre, width = centre - 0.5, width - 1
    if width == 0:
        return (values > centre).astype(np.float64)
    return np.clip((values - centre) / width + 0.5, 0, 1)
