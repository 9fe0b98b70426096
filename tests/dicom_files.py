"""Small DICOM files."""

from pydicom import Dataset, uid
from pydicom.dataset import FileMetaDataset


def write_dicom(path, stored, syntax=uid.ExplicitVRLittleEndian, data=None, **elements):
    """Write one image; elements replace those that follow from its pixels."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = uid.CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = uid.generate_uid()
    dataset.SOPClassUID = uid.CTImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
    colours = stored.ndim == 3
    defaults = dict(
        Rows=stored.shape[0],
        Columns=stored.shape[1],
        SamplesPerPixel=3 if colours else 1,
        PhotometricInterpretation='RGB' if colours else 'MONOCHROME2',
        BitsAllocated=8 * stored.dtype.itemsize,
        BitsStored=8 * stored.dtype.itemsize,
        PixelRepresentation=int(stored.dtype.kind == 'i'),
    )
    if colours:
        defaults['PlanarConfiguration'] = 0
    for name, value in (defaults | elements).items():
        setattr(dataset, name, value)
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelData = stored.tobytes() if data is None else data
    dataset['PixelData'].VR = 'OB' if stored.itemsize == 1 or data else 'OW'
    dataset.save_as(path, enforce_file_format=True)
    return path
