"""A model card says what is known, and nothing else."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score

from mmimbal.evaluation.metrics import summarise
from mmimbal.evaluation.predictions import Predictions
from mmimbal.evaluation.recalibration import Calibration
from mmimbal.inference.decisions import Decisions
from mmimbal.inference.fit_decisions import Wanted, fit_decisions
from mmimbal.inference.members import ENSEMBLE
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


CFG = dict(model=dict(data_preprocessor=dict(mean=[1.0], std=[2.0], to_rgb=True)))
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(96, 96)),
    dict(type='PackInputs'),
]


def test_counts_and_metrics_are_those_that_are_known(predictions):
    hashes = torch.tensor([1, 2, 3])
    meta = dict(class_counts=[5, 40], mmimbal_version='0.1.0', training_groups=hashes)
    card = model_card(
        'skin', ('mel', 'nv'), CFG, [meta], PIPELINE, predictions=predictions
    )
    assert card.startswith('# skin\n') and '96 x 96 pixels, RGB, minus [1.0]' in card
    assert '- `Resize(scale=(96, 96))`' in card
    assert '| mel | 5 |' in card and '| nv | 40 |' in card
    assert 'Training groups (lesions, patients, ...): 3.' in card
    assert 'Not calibrated.' in card
    expected = balanced_accuracy_score(predictions.labels, predictions.scores.argmax(1))
    assert re.search(rf'\| balanced_accuracy \| {100 * expected:.1f} \[', card)
    assert '60 test images in 20 groups' in card and 'are calibrated' not in card


def test_results_of_a_calibrated_model_are_calibrated(predictions):
    decisions = fit_decisions(predictions, Wanted(accuracy=0.3))
    card = model_card(
        'skin', ('mel', 'nv'), CFG, [{}], PIPELINE, decisions, predictions
    )
    calibrated = decisions.calibrate(predictions.scores.astype(float))
    expected = summarise(calibrated, predictions.labels, predictions.classes)
    for metric in ('ece', 'brier'):
        assert re.search(rf'\| {metric} \| {expected[metric]:.1f} \[', card)
    assert 'Probabilities are calibrated' in card
    assert '- Calibrated by vector scaling' in card
    assert '- Answers from a confidence of' in card and '- Fitted on 20 groups' in card


@pytest.mark.parametrize('shift', [8.0, -8.0])
def test_limits_are_those_of_the_results(predictions, shift):
    """A calibration by vector scaling changes which class is predicted.

    A shift of 8 makes all images mel; one of -8 takes that back.
    """
    predictions = replace(predictions, groups=predictions.files)  # enough groups
    if shift < 0:
        odds = predictions.scores * np.exp([-shift, 0])
        scores = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
        assert not scores.argmax(1).any()
        predictions = replace(predictions, scores=scores)
    classes = ('mel', 'nv')
    calibration = Calibration(classes, 'vector', (1, 1), (shift, 0), (0.5, 0.5))
    decisions = Decisions(classes, calibration)
    card = model_card('skin', classes, CFG, [{}], PIPELINE, decisions, predictions)
    assert ('| recall/mel | 100.0' in card) == (shift > 0)
    assert ('Classes with a recall of 0 or 100%' in card) == (shift > 0)


def test_without_a_calibration_none_is_claimed(predictions):
    wanted = Wanted(method='none', accuracy=0.3)
    decisions = fit_decisions(predictions, wanted)
    card = model_card(
        'skin', ('mel', 'nv'), CFG, [{}], PIPELINE, decisions, predictions
    )
    assert 'are calibrated' not in card
    expected = summarise(predictions.scores, predictions.labels, predictions.classes)
    assert re.search(rf'\| ece \| {expected["ece"]:.1f} \[', card)


def test_other_shares_of_classes_are_named_and_not_measured(predictions):
    """The images have their own shares."""
    scores = 0.8 * predictions.scores + 0.2 * np.eye(2)[predictions.labels]
    predictions = replace(predictions, scores=scores)
    wanted = Wanted(method='temperature', prevalence=dict(mel=0.9))
    decisions = fit_decisions(predictions, wanted)
    card = model_card(
        'skin', ('mel', 'nv'), CFG, [{}], PIPELINE, decisions, predictions
    )
    assert 'for these shares of classes: mel: 0.9, nv: 0.1' in card
    assert 'after rebalanced training, probabilities for other shares are wrong' in card
    same = replace(decisions.calibration, prevalence=None)
    scores = same.apply(predictions.scores.astype(float))
    expected = summarise(scores, predictions.labels, predictions.classes)
    assert re.search(rf'\| ece \| {expected["ece"]:.1f} \[', card)


def test_costs_are_named_and_not_measured(predictions):
    classes, costs = ('mel', 'nv'), np.array([[0, 5], [0.5, 0]])
    decisions = fit_decisions(predictions, Wanted(method='none', costs=costs))
    card = model_card('skin', classes, CFG, [{}], PIPELINE, decisions, predictions)
    assert 'the classes of least expected cost: mel as nv 5, nv as mel 0.5' in card
    assert 'They are of the most probable class, not of that of least cost.' in card
    assert 'Fitted on' not in card  # nothing was


def test_a_class_without_test_images_is_said(predictions):
    scores = np.pad(predictions.scores, ((0, 0), (0, 1)))
    other = replace(predictions, scores=scores, classes=('mel', 'nv', 'df'))
    card = model_card('skin', other.classes, CFG, [{}], PIPELINE, predictions=other)
    assert 'no images of df: means over classes are over 2 of 3 classes' in card
    card = model_card(
        'skin', ('mel', 'nv'), CFG, [{}], PIPELINE, predictions=predictions
    )
    assert 'no images of' not in card


@pytest.mark.parametrize('split', ['val', 'train'])
def test_images_that_are_not_for_tests_are_said(predictions, split):
    other = replace(predictions, about=dict(split=split))
    card = model_card('skin', ('mel', 'nv'), CFG, [{}], PIPELINE, predictions=other)
    assert f'60 {split} images in 20 groups' in card
    assert f'The images are of the split {split}: the model may have been' in card


def test_counts_of_members_are_a_range():
    metas = [dict(class_counts=[5, 40]), dict(class_counts=[7, 40])]
    cfg = dict(model=dict(type=ENSEMBLE, members=[{}, {}]))
    card = model_card('skin', ('mel', 'nv'), cfg, metas, PIPELINE)
    assert '| mel | 5 to 7 |' in card and '| nv | 40 |' in card


def test_a_class_may_have_the_mark_of_a_column():
    card = model_card('skin', ('a|b', 'c'), CFG, [dict(class_counts=[5, 4])], PIPELINE)
    assert r'| a\|b | 5 |' in card


def test_what_is_not_known_is_not_invented():
    metas = [dict(class_counts=[5, 40]), {}]
    cfg = dict(model=dict(type=ENSEMBLE, members=[{}, {}]))
    pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
    card = model_card('skin', ('mel', 'nv'), cfg, metas, pipeline)
    assert 'The mean of 2 classifiers, published with mmimbal ?' in card
    assert '| mel | not known |' in card and 'patients, ...) are not known' in card
    assert 'Not measured here' in card and 'pixels of any number' in card


@pytest.mark.parametrize(
    ('split', 'fold', 'message'),
    [
        ('train', 0, 'the model was trained on 24 of the 24 groups'),
        ('test', 1, 'were made by another model'),
    ],
)
def test_predictions_of_others_are_not_its_results(
    split, fold, message, members, data, tmp_path
):
    config = next((members / f'fold{fold}').glob('*.py'))
    file, out = tmp_path / 'p.npz', tmp_path / 'skin.pth'
    flags = ['--split', split, '--out', file]
    assert explain('test', config, members / f'fold{fold}', *flags) is None
    said = explain('publish', members / 'fold0', out, '--predictions', file)
    assert message in said and not out.exists()


def test_its_own_predictions_are_its_results(members, data, tmp_path):
    config = next((members / 'fold0').glob('*.py'))
    file, out = tmp_path / 'p.npz', tmp_path / 'skin.pth'
    assert explain('test', config, members / 'fold0', '--out', file) is None
    publish = ['publish', members / 'fold0', out, '--predictions', file]
    assert explain(*publish) is None
    assert '| balanced_accuracy |' in out.with_suffix('.md').read_text()
    tta = ['--tta', 'flips', '--out', file]
    assert explain('test', config, members / 'fold0', *tta) is None
    assert 'average several views (--tta flips)' in explain(*publish)


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
