"""Decisions are measured on images that they were not fitted on."""

from dataclasses import replace

import numpy as np
import pytest

from mmimbal.datasets.group_hashes import hash_groups
from mmimbal.files.checkpoint import load_from_local
from mmimbal.files.save_checkpoint import save_checkpoint_file
from mmimbal.inference.decisions import Decisions
from mmimbal.inference.predict import predict_split
from mmimbal.inference.predictor import load_predictor
from mmimbal.inference.stored_decisions import load_decisions
from tests.inference.conftest import CLASSES
from tests.tools import explain


@pytest.fixture(scope='module')
def run(calibrated, data):
    """Predictions of the calibrated model for test images."""
    return predict_split(load_predictor([calibrated[0] / 'y.pth']), data, 'test')


def test_they_are_those_of_the_file(calibrated, run):
    folder, _ = calibrated
    stored = load_from_local(folder / 'y.pth')['meta']['decisions']
    found = load_decisions(folder / 'y.pth', run)
    assert found == Decisions.from_dict(stored, CLASSES)
    expected = hash_groups([f'cal_{c}_{n}' for c in CLASSES for n in range(30)])
    assert sorted(found.groups) == sorted(expected.tolist())


def test_they_are_not_measured_on_what_was_fitted(calibrated, run, data):
    folder, cal = calibrated
    predictor = load_predictor([folder / 'y.pth'])
    fitted_on = predict_split(predictor, cal, 'cal')
    with pytest.raises(ValueError, match='the decisions were fitted on 90 of the 90'):
        load_decisions(folder / 'y.pth', fitted_on)
    one = replace(run, groups=np.r_[['cal_b_7'], run.groups[1:]])
    with pytest.raises(ValueError, match=r'on 1 of the 15 groups .* first is cal_b_7'):
        load_decisions(folder / 'y.pth', one)
    training = predict_split(predictor, data, 'train')
    with pytest.raises(ValueError, match='the model was trained on 24 of the 24'):
        load_decisions(folder / 'y.pth', training)


def test_files_of_earlier_versions_do_not_know_their_groups(calibrated, run, tmp_path):
    checkpoint = load_from_local(calibrated[0] / 'y.pth')
    del checkpoint['meta']['decisions']['groups']
    save_checkpoint_file(checkpoint, tmp_path / 'old.pth')
    assert load_decisions(tmp_path / 'old.pth', run).groups == ()


@pytest.mark.parametrize('renamed', ['thresholds', 'costs'])
def test_decisions_of_another_version_are_told(calibrated, run, tmp_path, renamed):
    other = load_from_local(calibrated[0] / 'y.pth')
    decisions = other['meta']['decisions']
    decisions['renamed'] = decisions.pop(renamed)
    save_checkpoint_file(other, tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=f'another version.* without {renamed}: '):
        load_decisions(tmp_path / 'other.pth', run)


def test_a_file_without_decisions_is_told(calibrated, run):
    with pytest.raises(ValueError, match=r'has no decisions.*tools/calibrate\.py'):
        load_decisions(calibrated[0] / 'plain' / 'x.pth', run)
    with pytest.raises(ValueError, match='were fitted for the classes'):
        load_decisions(calibrated[0] / 'y.pth', replace(run, classes=('a', 'c', 'b')))


def test_the_report_shows_them(calibrated, run, tmp_path):
    folder, _ = calibrated
    run.save(tmp_path / 'test.npz')
    out = tmp_path / 'page.html'
    flags = [tmp_path / 'test.npz', '--decisions', folder / 'y.pth', '--out', out]
    assert explain('report', *flags) is None
    page = out.read_text()
    assert 'None of the 90 calibration groups is among the test images' in page
    for heading in ('Calibration, before and after', 'Operating points', 'sets of 70%'):
        assert heading in page
    flags[2] = folder / 'plain' / 'x.pth'
    assert 'has no decisions' in explain('report', *flags)
    flags[2] = tmp_path / 'gone.pth'
    assert 'gone.pth' in explain('report', *flags)


def test_predictions_of_another_model_or_of_views_are_refused(calibrated, run):
    file = calibrated[0] / 'y.pth'
    other = replace(run, about=dict(model='0' * 16, checkpoint='fold1.pth'))
    with pytest.raises(ValueError, match=r'by another model than .*y\.pth, by fold1'):
        load_decisions(file, other)
    views = replace(run, about=dict(run.about, tta='flips'))
    with pytest.raises(ValueError, match=r'average several views \(--tta flips\)'):
        load_decisions(file, views)
    load_decisions(file, replace(run, about={}))  # of earlier versions


def test_several_views_of_a_calibrated_model_are_refused(calibrated, data, tmp_path):
    file, out = calibrated[0] / 'y.pth', tmp_path / 'o.csv'
    message = explain('predict', file, data / 'images', '--tta', '--out', out)
    assert 'are for one view' in message and not out.exists()
