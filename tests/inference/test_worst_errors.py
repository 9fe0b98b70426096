"""The worst errors of a run, with what the model looked at."""

import base64
import io
import re
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmimbal.evaluation.predictions import Predictions
from mmimbal.files.work_dir import find_checkpoint
from mmimbal.inference.class_activation import class_activation_maps
from mmimbal.inference.predict import predict_split
from mmimbal.inference.predictor import load_predictor
from mmimbal.inference.worst_errors import model_of, show_errors, worst_errors
from tests.inference.conftest import CLASSES
from tests.tools import explain


@pytest.fixture(scope='module')
def predictor(members):
    return load_predictor([members / 'fold0'])


@pytest.fixture(scope='module')
def run(predictor, data):
    """Predictions for 15 images, all of them wrong."""
    run = predict_split(predictor, data, 'test')
    return replace(run, labels=(run.scores.argmax(1) + 1) % 3)


def test_they_are_the_most_probable_wrong_predictions():
    random = np.random.default_rng(0)
    scores = random.dirichlet([1, 1, 1], 80)
    scores[20] = scores[10]  # of equal ones, the first comes first
    labels = random.integers(0, 3, 80)
    labels[[10, 20]] = (scores[10].argmax() + 1) % 3
    names = np.arange(80).astype(str)
    run = Predictions(scores, labels, names, names, tuple(CLASSES))
    wrong = [n for n in range(80) if scores[n].argmax() != labels[n]]
    expected = sorted(wrong, key=lambda n: -scores[n].max())
    assert 30 < len(wrong) < 80
    assert worst_errors(run).tolist() == expected[:12]
    assert worst_errors(run, 500).tolist() == expected
    right = replace(run, labels=scores.argmax(1))
    assert worst_errors(right).tolist() == []


def test_they_are_shown_as_the_model_has_seen_them(predictor, run, data):
    shown = show_errors(predictor, run, data)
    assert len(shown) == 12
    for found, index in zip(shown, worst_errors(run), strict=True):
        label = run.scores[index].argmax()
        assert found.file == run.files[index]
        assert found.true == CLASSES[run.labels[index]] != found.predicted
        assert found.predicted == CLASSES[label]
        assert found.probability == pytest.approx(run.scores[index].max())
        bgr = cv2.imread(str(data / found.file))
        assert np.array_equal(found.image, bgr[:, :, ::-1])
        (inputs,) = predictor.model.data_preprocessor(
            dict(inputs=[torch.from_numpy(bgr).permute(2, 0, 1)])
        )['inputs']
        (expected,) = class_activation_maps(
            predictor.model, inputs[None], torch.tensor([label])
        )
        assert found.activation == pytest.approx(expected.numpy(), abs=1e-5)


def test_without_errors_there_is_nothing_to_show(predictor, run, data, tmp_path):
    right = replace(run, labels=run.scores.argmax(1))
    assert show_errors(predictor, right, tmp_path / 'nowhere') == []


def test_the_model_must_be_that_of_the_predictions(predictor, run, data, members):
    other = load_predictor([members / 'fold1'])
    sure = replace(run, scores=np.eye(3)[run.scores.argmax(1)], about={})
    with pytest.raises(ValueError, match=r'is not that of the predictions: for .*png'):
        show_errors(other, sure, data)
    near = replace(run, about=dict(model='1f', checkpoint='epoch_1.pth'))
    with pytest.raises(ValueError, match=r'not that of the predictions, epoch_1\.pth:'):
        show_errors(predictor, near, data)  # although it gives what is stored
    renamed = replace(run, classes=('x', 'y', 'z'))
    with pytest.raises(ValueError, match='the model has the classes a, b, c, but'):
        show_errors(predictor, renamed, data)


def test_the_model_is_the_checkpoint_that_was_tested(run, members):
    checkpoint = find_checkpoint(str(members / 'fold0'))
    assert model_of(replace(run, about=dict(checkpoint=str(checkpoint)))) == checkpoint
    folds = dict(checkpoint=str(members))  # of an ensemble
    assert model_of(replace(run, about=folds)) == members
    for about in ({}, dict(checkpoint='gone.pth')):
        with pytest.raises(FileNotFoundError, match='name it with --model'):
            model_of(replace(run, about=about))


@pytest.fixture(scope='module')
def tested(predictor, data, members, tmp_path_factory):
    """A file of predictions, as tools/test.py writes it."""
    file = tmp_path_factory.mktemp('tested') / 'test.npz'
    checkpoint = find_checkpoint(str(members / 'fold0'))
    run = predict_split(predictor, data, 'test')
    labels = (run.scores.argmax(1) + 1) % 3
    labels[:3] = range(3)  # a report needs images of all classes
    about = dict(checkpoint=str(checkpoint))
    replace(run, labels=labels, about=about).save(file)
    return file


def pictures_of(page):
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(code))))
        for code in re.findall(r'<img src="data:image/jpeg;base64,([^"]+)"', page)
    ]


def test_only_a_report_with_images_has_images(tested, data, tmp_path, capsys):
    out = tmp_path / 'page.html'
    assert explain('report', tested, '--out', out) is None
    page = out.read_text()
    assert '<img' not in page and 'image/jpeg' not in page
    assert page.count('data:image') == 1  # the colours of the confusion matrix
    assert explain('report', tested, '--images', data, '--out', out) is None
    assert 'Worst errors: images of' in capsys.readouterr().out
    page = out.read_text()
    pictures = pictures_of(page)
    cards = re.findall(r'true: (\w)<br>predicted: <b>(\w)</b>, ([\d.]+)%', page)
    assert len(pictures) == 2 * len(cards) == 24
    assert all(each.shape == (128, 128, 3) for each in pictures)
    assert all(true != predicted for true, predicted, _ in cards)
    shares = [float(share) for *_, share in cards]
    assert shares == sorted(shares, reverse=True)
    assert str(data) not in page.split('Where the runs come from')[0]


def test_mistakes_with_images_are_one_line(tested, data, members, tmp_path):
    broken = shutil.copytree(data, tmp_path / 'broken')
    lacking = shutil.copytree(data, tmp_path / 'lacking')
    for file in sorted((broken / 'images').iterdir()):
        file.write_bytes(b'no image')
    for file in sorted((lacking / 'images').glob('test_*_4*'))[:2]:
        file.unlink()
    out = tmp_path / 'page.html'
    for flags, reason in (
        (['--images', tmp_path / 'no'], 'give --images the folder of the data set'),
        (['--images', data / 'images'], 'give --images the folder of the data set'),
        (['--images', lacking], 'lacking/images/test_'),
        (['--images', broken], r'\.png cannot be read: '),
        (['--images', data, '--model', 'gone.pth'], 'gone'),
    ):
        message = explain('report', tested, *flags, '--out', out)
        assert message.startswith('report: ') and re.search(reason, message), message
        assert '\n' not in message and not out.exists()
    assert explain('report', tested, '--model', 'x.pth', '--out', out) == 2
