"""A model card says what is known, and nothing else."""

import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from mmimbal.evaluation.predictions import Predictions
from mmimbal.inference.model_card import model_card
from tests.tools import explain


@pytest.fixture
def predictions():
    random = np.random.default_rng(0)
    labels = np.arange(60) % 2
    scores = random.dirichlet([1, 1], 60).astype(np.float32)
    return Predictions(
        scores,
        labels,
        np.array([f'{n}.png' for n in range(60)]),
        np.array([f'p{n // 3}' for n in range(60)]),
        ('mel', 'nv'),
    )


def test_counts_and_metrics_are_those_that_are_known(predictions):
    metas = {Path('a.pth'): dict(class_counts=[5, 40], mmimbal_version='0.1.0')}
    card = model_card('skin', ('mel', 'nv'), metas, (96, 96), predictions)
    assert card.startswith('# skin\n') and '96 x 96 pixels' in card
    assert '| mel | 5 |' in card and '| nv | 40 |' in card
    expected = balanced_accuracy_score(predictions.labels, predictions.scores.argmax(1))
    assert re.search(rf'\| balanced_accuracy \| {100 * expected:.1f} \[', card)
    assert '60 images in 20 groups' in card


def test_what_is_not_known_is_not_invented():
    metas = {Path('a.pth'): dict(class_counts=[5, 40]), Path('b.pth'): {}}
    card = model_card('skin', ('mel', 'nv'), metas)
    assert 'The mean of 2 classifiers, trained with mmimbal ?' in card
    assert 'not known, or not the same for all members' in card
    assert 'Not measured here' in card and 'pixels' not in card


def test_publishing_writes_all_four_files(members, data, tmp_path, capsys):
    out = tmp_path / 'skin.pth'
    images = ['--images', data / 'images', '--onnx']
    assert explain('publish', members / 'fold0', out, *images) is None
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ['skin.md', 'skin.onnx', 'skin.pth', 'skin.py']
    said = capsys.readouterr().out
    found = re.search(r'from PyTorch on 48 images: ([\d.e-]+)', said)
    assert float(found[1]) < 1e-5
    assert '8 x 8 pixels' in (tmp_path / 'skin.md').read_text()


def test_images_need_onnx(members, data, tmp_path):
    flags = ['--images', data / 'images']
    message = explain('publish', members / 'fold0', tmp_path / 'x.pth', *flags)
    assert '--images is for --onnx' in message
