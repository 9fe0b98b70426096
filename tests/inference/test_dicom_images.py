"""DICOM files are predicted as they are."""

from pathlib import Path

import cv2
import numpy as np

from mmimbal.datasets.sources.dicom import read_dicom
from mmimbal.inference.find_images import find_images
from mmimbal.inference.predict import predict_files
from mmimbal.inference.predictor import load_predictor
from tests.dicom_files import write_dicom
from tests.inference.conftest import read_table


def test_dicom_files_are_read_as_they_would_be_converted(members, tmp_path):
    """As the PNG files of a data set that was prepared from them; damage is said."""
    source = tmp_path / 'source'
    source.mkdir()
    for shade in (60, 200):
        stored = np.arange(256, dtype=np.uint16).reshape(16, 16) * shade
        write_dicom(
            source / f'{shade}.dcm', stored, WindowCenter=8000, WindowWidth=9000
        )
    (source / 'film.dcm').write_bytes((source / '60.dcm').read_bytes()[:200])
    predictor = load_predictor([members / 'fold0'])
    files = find_images([source])
    assert len(files) == 3
    assert predict_files(predictor, files, tmp_path / 'o.csv', workers=0) == 1
    rows = read_table(tmp_path / 'o.csv')
    pngs = [str(tmp_path / f'{Path(file).name}.png') for file in files[:2]]
    for file, png in zip(files[:2], pngs, strict=True):
        cv2.imwrite(png, read_dicom(Path(file)))
    predict_files(predictor, pngs, tmp_path / 'p.csv', workers=0)
    for row, png_row in zip(rows[:2], read_table(tmp_path / 'p.csv'), strict=True):
        assert row | dict(file='') == png_row | dict(file='') and row['predicted']
    assert rows[0] | dict(file='') != rows[1] | dict(file='')
    assert 'film.dcm' in rows[2]['problem'] and 'Error' not in rows[2]['problem']
