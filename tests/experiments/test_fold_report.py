"""The table of a cross-validation: what is pooled, and what is not."""

import numpy as np
import pytest

from mmimbal.evaluation.metrics import summarise
from mmimbal.evaluation.predictions import Predictions
from mmimbal.experiments.fold_report import WITHIN_FOLDS, report


def test_a_fold_without_a_class_keeps_its_place():
    random = np.random.default_rng(0)

    def part(labels):
        files = np.array([f'{len(labels)}_{n}' for n in range(len(labels))])
        scores = random.dirichlet(np.ones(3), len(labels))
        return Predictions(scores, np.array(labels), files, files, ('a', 'b', 'c'))

    parts = [part([0, 1, 0, 1]), part([0, 1, 2, 2, 2])]
    summary, text = report(parts)
    recall = summary['recall/c']
    right = (parts[1].scores[2:].argmax(1) == 2).mean()
    assert recall['folds'] == [None, pytest.approx(100 * right)]
    assert recall['sd'] is None and recall['mean'] == recall['folds'][1]
    assert f'{100 * right:.1f} (1 of 2)' in text and '9 test images in 9 groups' in text
    assert 'Fold 0: There are no images of c: means over classes are over 2 of' in text
    assert '±' not in report(parts[1:])[1] and 'no images' not in report(parts[1:])[1]


def test_members_with_the_same_test_images_are_shown_beside_their_ensemble():
    random, labels = np.random.default_rng(0), np.array([0, 1, 2, 0, 1, 2])
    files = np.array([f'{n}' for n in range(6)])
    parts = [
        Predictions(random.dirichlet(np.ones(3), 6), labels, files, files, tuple('abc'))
        for _ in range(2)
    ]
    lines = report(parts)[1].splitlines()
    (header,) = (line for line in lines if line.startswith('%'))
    assert header.split()[1:5] == ['fold', '0', 'fold', '1']
    (row,) = (line for line in lines if line.startswith('accuracy'))
    shown = [100 * (part.scores.argmax(1) == labels).mean() for part in parts]
    assert row.split()[1:3] == [f'{value:.1f}' for value in shown]
    mean = sum(part.scores for part in parts) / 2
    assert f' {100 * (mean.argmax(1) == labels).mean():.1f} ' in row


def test_scores_of_different_models_are_not_compared():
    """Models that rank well by themselves, on scales of their own."""
    random, labels = np.random.default_rng(0), np.arange(60) % 2

    def part(number):
        files = np.array([f'{number}_{n}' for n in range(60)])
        chance = 0.3 * labels + 0.2 * random.random(60) + 0.25 * number
        scores = np.stack([1 - chance, chance], 1)
        return Predictions(scores, labels, files, files, ('a', 'b'))

    parts = [part(number) for number in (0, 1)]
    summary, text = report(parts)
    for name in WITHIN_FOLDS:
        folds = [summarise(p.scores, p.labels, p.classes)[name] for p in parts]
        assert summary[name]['folds'] == folds
        assert summary[name]['mean'] == pytest.approx(np.mean(folds))
        assert summary[name]['pooled'] is summary[name]['interval'] is None
        (row,) = (line for line in text.splitlines() if line.startswith(name))
        assert row.split()[-2:] == ['-', '-']
    assert 'auroc, average_precision, ece are means over folds only' in text
    assert summary['accuracy']['interval'] is not None
    assert summary['brier']['pooled'] == pytest.approx(summary['brier']['mean'])
    alone, text = report(parts[:1])
    assert alone['auroc']['interval'] is not None and 'cannot be compared' not in text


def test_doubts_about_the_images_are_said_once():
    labels = np.arange(60) % 2
    files = np.array([f'{n}' for n in range(60)])
    parts = [
        Predictions(
            np.eye(2)[labels],
            labels,
            np.char.add(name, files),
            np.char.add(name, files),
            ('a', 'b'),
            about=dict(leak=f'{leak} of the 60 groups were trained on'),
        )
        for name, leak in zip('xyz', (3, 4, 3), strict=True)
    ]
    text = report(parts)[1]
    assert text.count('Fold 0, 2: 3 of the 60 groups were trained on. ') == 1
    assert text.count('Fold 1: 4 of the 60 groups were trained on. ') == 1
