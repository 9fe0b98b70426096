"""A model is calibrated on images that it was not trained on, and decides with them."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from mmimbal.datasets.sources import plan_dataset, read_csv, write_plan
from mmimbal.evaluation.abstention import fit_confidence_threshold
from mmimbal.evaluation.conformal import fit_conformal_sets
from mmimbal.evaluation.predictions import Predictions
from mmimbal.evaluation.recalibration import with_prevalence
from mmimbal.evaluation.thresholds import fit_threshold
from mmimbal.evaluation.vector_scaling import fit_vector_scaling
from mmimbal.files.checkpoint import load_from_local
from mmimbal.inference.decisions import Decisions, rounded_down, threshold_text
from mmimbal.inference.fit_decisions import Wanted, first_half_of_groups, fit_decisions
from mmimbal.inference.members import find_members
from mmimbal.inference.predict import predict_split
from mmimbal.inference.predictor import load_predictor
from tests.conftest import rows_of, train, write_index
from tests.inference.conftest import CLASSES, config_of, read_table
from tests.tools import explain

COSTS = [[0, 5, 1], [1, 0, 1], [1, 1, 0]]


@pytest.fixture(scope='module')
def images():
    """900 calibration images in 450 groups, of a model that is too sure."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 900)
    logits = 3 * (np.eye(3)[labels] * 1.5 + random.normal(size=(900, 3)))
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Predictions(
        scores,
        labels,
        np.array([f'{n}.png' for n in range(900)]),
        np.array([f'p{n // 2}' for n in range(900)]),
        tuple(CLASSES),
    )


def test_half_of_the_groups_calibrate_and_the_others_decide(images):
    wanted = Wanted(
        sensitivity=dict(a=0.8),
        prevalence=dict(a=0.05),
        accuracy=0.9,
        confidence=0.9,
        costs=COSTS,
    )
    found = fit_decisions(images, wanted)
    first = first_half_of_groups(images.groups, images.labels, seed=0)
    assert not set(images.groups[first]) & set(images.groups[~first])
    assert abs(first.mean() - 0.5) < 0.01
    fitted = fit_vector_scaling(images.scores[first], images.labels[first], CLASSES)
    fitted = with_prevalence(fitted, dict(a=0.05))
    assert found.calibration == fitted
    calibrated = fitted.apply(images.scores)
    others = (calibrated[~first], images.labels[~first])
    groups = images.groups[~first].tolist()
    (threshold,) = found.thresholds
    assert threshold == fit_threshold(*others, groups, CLASSES, 'a', sensitivity=0.8)
    chosen = images.labels[~first]
    used = np.array([0.05, *fitted.prevalence[1:]])
    weights = used[chosen] / (np.bincount(chosen) / len(chosen))[chosen]
    assert found.abstention == fit_confidence_threshold(*others, CLASSES, 0.9, weights)
    assert found.sets == fit_conformal_sets(*others, groups, CLASSES, confidence=0.9)
    assert np.array_equal(found.calibrate(images.scores), calibrated)

    cells = found.cells(calibrated[:5])
    expected = (calibrated[:5] @ np.array(COSTS)).argmin(1)
    assert found.columns == ['decision', 'a: sensitivity', 'answered', 'set']
    for row, probabilities, decision in zip(cells, calibrated, expected, strict=False):
        assert row[0] == CLASSES[decision]
        assert row[1] == ('yes' if probabilities[0] >= threshold.value else 'no')
        sure = probabilities.max() >= found.abstention.value
        assert row[2] == ('yes' if sure else 'no')
        inside = found.sets.apply(probabilities[None])[0]
        assert row[3] == ' | '.join(np.array(CLASSES)[inside])


def test_they_are_plain_values(images):
    wanted = Wanted(sensitivity=dict(b=0.7), accuracy=0.8, confidence=0.8, costs=COSTS)
    for fitted in (fit_decisions(images, wanted), Decisions(tuple(CLASSES))):
        content = json.loads(json.dumps(fitted.to_dict()))
        assert Decisions.from_dict(content, CLASSES) == fitted
        with pytest.raises(ValueError, match='were fitted for the classes'):
            Decisions.from_dict(content, ['b', 'a', 'c'])


def test_what_cannot_be_fitted_is_refused(images):
    lacking = Predictions(
        images.scores, images.labels % 2, images.files, images.groups, images.classes
    )
    with pytest.raises(ValueError, match='no calibration image of c'):
        fit_decisions(lacking, Wanted())
    with pytest.raises(ValueError, match='prevalences need a calibration'):
        fit_decisions(images, Wanted(method='none', prevalence=dict(a=0.1)))
    with pytest.raises(ValueError, match='are needed'):
        fit_decisions(images, Wanted(sensitivity=dict(a=0.999)))
    with pytest.raises(ValueError, match='The other half of the groups was used to c'):
        fit_decisions(images, Wanted(sensitivity=dict(a=0.999)))


def test_the_published_file_keeps_and_applies_them(calibrated, data, tmp_path):
    folder, cal = calibrated
    meta = load_from_local(folder / 'y.pth')['meta']
    plain = load_predictor([folder / 'plain' / 'x.pth'])
    images = predict_split(plain, cal, 'cal')
    fitted = fit_decisions(images, Wanted(sensitivity=dict(a=0.5), confidence=0.7))
    assert Decisions.from_dict(meta['decisions'], CLASSES) == fitted
    tables = {}
    for name in ('plain/x', 'y'):
        out = tmp_path / 'out.csv'
        model = folder / f'{name}.pth'
        assert explain('predict', model, data, '--split', 'val', '--out', out) is None
        tables[name] = read_table(out)
    before, after = (
        np.array([[float(row[c]) for c in CLASSES] for row in table])
        for table in tables.values()
    )
    assert np.allclose(after, fitted.calibrate(before), atol=1e-4)
    header = ['file', 'predicted', *CLASSES, 'a: sensitivity', 'set', 'problem']
    assert list(tables['y'][0]) == header
    assert {row['a: sensitivity'] for row in tables['y']} <= {'yes', 'no'}


def test_calibration_on_training_images_is_refused(members, data, tmp_path):
    model = tmp_path / 'model' / 'x.pth'
    assert explain('publish', members / 'fold0', model) is None
    flags = ['--split', 'train', '--out', tmp_path / 'y.pth']
    message = explain('calibrate', model, data, *flags)
    assert 'was trained on 24 of the 24 groups' in message
    assert not (tmp_path / 'y.pth').exists()


def test_only_a_published_model_is_calibrated(members, data, tmp_path):
    checkpoint = find_members(members / 'fold0')[0]
    for model in (checkpoint, checkpoint.parent):
        message = explain('calibrate', model, data, '--out', tmp_path / 'y.pth')
        assert f'{model} is not published: use tools/publish.py' in message
    model = tmp_path / 'x.pth'
    assert explain('publish', checkpoint, model) is None
    message = explain('calibrate', model, data, '--out', checkpoint.parent / 'y.pth')
    assert 'y.pth is in the work dir of a training' in message


def test_costs_that_are_not_those_of_the_classes_are_refused(calibrated, tmp_path):
    folder, cal = calibrated
    costs = tmp_path / 'costs.csv'
    costs.write_text(',a,b,c\na,0,1,1\nb,1,0,1\nc,1,1,0\na,0,9,9\n')
    flags = ['--costs', costs, '--out', tmp_path / 'z.pth']
    message = explain('calibrate', folder / 'plain' / 'x.pth', cal, *flags)
    assert 'must have one row for each of a, b, c, and no others; it has' in message
    for text, what in (
        ('true,a,b,b,c\na,0,1,7,1\nb,1,0,0,1\nc,1,1,1,0\n', 'must have one column'),
        ('true,a,b,c\na,0,1,1\nb,1,0,1,5\nc,1,1,0\n', 'a cost of b is missing, too'),
        ('', 'must have one row for each of a, b, c, and no others; it has none'),
    ):
        costs.write_text(text)
        message = explain('calibrate', folder / 'plain' / 'x.pth', cal, *flags)
        assert what in message


def test_what_would_not_fit_a_calibrated_model_is_not_left_beside_it(calibrated):
    folder, cal = calibrated
    plain = folder / 'plain' / 'x.pth'
    assert plain.with_suffix('.md').is_file()
    beside = plain.with_name('z.pth')
    beside.with_suffix('.md').write_text('of another model')
    message = explain('calibrate', plain, cal, '--out', beside)
    assert 'z.md would not fit the new z.pth' in message


def test_a_calibrated_model_is_not_a_member(calibrated, members):
    folder, _ = calibrated
    with pytest.raises(ValueError, match='average the members before calibration'):
        load_predictor([folder / 'y.pth', folder / 'plain' / 'x.pth'])


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (['--sensitivity', 'a'], 'a: expected CLASS=SHARE'),
        (['--sensitivity', 'z=0.5'], 'sensitivity of z, which is not a class'),
        (['--sensitivity', 'a=0.5', 'a=0.9'], 'a=0.9: a is given twice'),
        (['--sets', '1.5'], 'sets must be between 0 and 1'),
        (['--accuracy', '2'], 'accuracy must be between 0 and 1'),
        (['--prevalence', 'z=0.5'], 'prevalence of z, which is not a class: a, b, c'),
        (['--no-promise'], '--no-promise is for --sensitivity or --specificity'),
        (['--method', 'none'], 'nothing to fit: with --method none, ask for'),
        (['--split', 'nowhere'], "no split 'nowhere'"),
    ],
)
def test_mistakes_of_calibration_are_one_sentence(calibrated, tmp_path, flags, message):
    folder, cal = calibrated
    out = tmp_path / 'z.pth'
    found = explain('calibrate', folder / 'plain' / 'x.pth', cal, '--out', out, *flags)
    assert message in found and not out.exists()


def test_a_split_for_calibration(tmp_path):
    rows = rows_of(['a', 'b'], dict(train=40, val=5, test=10))
    source = read_csv(write_index(tmp_path / 'src', rows))
    plan = plan_dataset(source, folds=4, keep_test=True, calibration=0.2)
    write_plan(plan, tmp_path / 'out')
    with open(tmp_path / 'out/index.csv', newline='', encoding='utf-8') as file:
        table = list(csv.DictReader(file))
    splits = [row['split'] for row in table]
    assert {s: splits.count(s) for s in set(splits)} == dict(
        train=64, cal=16, val=10, test=20
    )
    for row in table:
        folds = {row[f'fold{k}'] for k in range(4)}
        kept = {row['split']} if row['split'] in ('cal', 'test') else {'train', 'val'}
        assert folds == kept
    cfg = config_of(tmp_path / 'out', tmp_path / 'run', 0)
    cfg.model.head.num_classes = 2
    train(cfg)  # cal is no part of training
    with pytest.raises(ValueError, match=r'at most 0\.5'):
        plan_dataset(source, calibration=0.6)


@pytest.mark.parametrize(
    ('share', 'images'), [(0.05, 10), (0.1, 20), (0.3, 60), (0.4, 80), (0.5, 100)]
)
def test_as_many_images_for_calibration_as_asked_for(share, images, tmp_path):
    rows = rows_of(['a', 'b'], dict(train=100, val=5, test=10))
    source = read_csv(write_index(tmp_path, rows, size=4))
    plan = plan_dataset(source, calibration=share)
    assert plan.columns['split'].count('cal') == images
    assert f'cal is {share:.1%} of train' in plan.origin_of_split


def simulated(size, shares, seed):
    """Features of overlapping classes; their exact probabilities, and labels."""
    random = np.random.default_rng(seed)
    labels = random.choice(len(shares), size, p=shares)
    features = labels + random.normal(size=size) * 0.7
    densities = np.exp(-((features[:, None] - np.arange(len(shares))) ** 2) / 0.98)
    scores = densities * shares
    return scores / scores.sum(1, keepdims=True), labels


def test_accuracy_and_coverage_hold_where_prevalences_are_others():
    """Stated for the shares in use, and found there in new images."""
    before, after = np.array([0.2, 0.4, 0.4]), np.array([0.8, 0.1, 0.1])
    scores, labels = simulated(20_000, before, 0)
    names = np.arange(len(labels)).astype(str)
    images = Predictions(scores, labels, names, names, tuple('abc'))
    prevalence = dict(zip('abc', after, strict=True))
    found = fit_decisions(images, Wanted(prevalence=prevalence, accuracy=0.85))
    scores, labels = simulated(20_000, after, 1)
    in_use = before / after * scores  # what the model says, trained on other shares
    calibrated = found.calibrate(in_use / in_use.sum(1, keepdims=True))
    answered = found.abstention.apply(calibrated)
    right = calibrated.argmax(1) == labels
    assert abs(right[answered].mean() - found.abstention.accuracy) < 0.01
    assert abs(answered.mean() - found.abstention.coverage) < 0.015


def test_a_specificity_at_other_prevalences_is_refused(images):
    wanted = Wanted(specificity=dict(a=0.8), prevalence=dict(b=0.5))
    with pytest.raises(ValueError, match=r'specificity of a depends on .* of b'):
        fit_decisions(images, wanted)
    fit_decisions(images, Wanted(specificity=dict(a=0.8), prevalence=dict(a=0.5)))
    # Of two classes, there is one other class: its share says that of the first.
    Wanted(specificity=dict(a=0.8), prevalence=dict(b=0.5)).check(('a', 'b'))


@pytest.mark.parametrize('seed', range(20))
def test_every_class_is_in_both_halves(seed):
    labels = np.repeat([0, 1, 2], [40, 8, 4])
    groups = np.array([f'g{n // 2}' for n in range(len(labels))])
    first = first_half_of_groups(groups, labels, seed)
    for label, half in ((0, 20), (1, 4), (2, 2)):
        assert first[labels == label].sum() == half
    assert not set(groups[first]) & set(groups[~first])


@pytest.mark.parametrize('seed', range(20))
def test_groups_of_several_classes_are_divided_evenly(seed):
    """Patients with a common image first: the rare classes must not go by chance."""
    labels, groups = [0] * 30, [f'a{n}' for n in range(30)]
    for n in range(6):
        labels += [0, 1]
        groups += [f'b{n}'] * 2
    labels += [0, 2, 1, 2, 0, 3, 0, 3]
    groups += ['c0', 'c0', 'c1', 'c1', 'd0', 'd0', 'd1', 'd1']
    labels, groups = np.array(labels), np.array(groups)
    first = first_half_of_groups(groups, labels, seed)
    assert not set(groups[first]) & set(groups[~first])
    for label in range(4):
        halves = [len({*groups[half & (labels == label)]}) for half in (first, ~first)]
        assert abs(halves[0] - halves[1]) <= 1


def test_a_class_of_one_group_is_named(images):
    labels = np.array([0, 0, 1, 1, 2, 2])
    groups = np.array(['p', 'q', 'r', 's', 't', 't'])
    few = replace(
        images,
        scores=images.scores[:6],
        labels=labels,
        files=groups,
        groups=groups,
    )
    with pytest.raises(ValueError, match=r'images of c \(1\) are all in one half'):
        fit_decisions(few, Wanted())


@pytest.mark.parametrize('wanted', [Wanted(accuracy=0.0), Wanted(confidence=0.0)])
def test_a_share_of_0_is_not_taken_for_nothing(images, wanted):
    with pytest.raises(ValueError, match='must be'):
        fit_decisions(images, wanted)


@pytest.mark.parametrize(
    ('share', 'text'),
    [(0.94966, '94.9'), (0.95, '95.0'), (0.29, '29.0'), (1.0, '100.0')],
)
def test_a_promise_is_not_rounded_up(share, text):
    assert rounded_down(share) == text


@pytest.mark.parametrize(
    ('threshold', 'text'),
    [
        (0.5, '0.5'),
        (0.12349, '0.1234'),
        (0.95, '0.95'),
        (0.99998, '0.99998'),
        (1 - 3.456e-7, '0.9999996544'),
        (0.000123456, '0.0001234'),
        (1.0, '1'),
        (0.0, '0'),
    ],
)
def test_a_threshold_is_rounded_to_the_side_that_keeps_the_promise(threshold, text):
    assert threshold_text(threshold) == text and float(text) <= threshold
    up = float(threshold_text(threshold, 'specificity'))
    assert threshold <= up <= 1 and (up < 1 or threshold == 1)
    assert up - threshold <= 1e-3 * min(threshold, 1 - threshold)
