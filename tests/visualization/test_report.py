import dataclasses
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from mmimbal.evaluation.bootstrap import BIASED, FEW_GROUPS, interval, resample
from mmimbal.evaluation.metrics import LOWER_IS_BETTER, NAMES, metrics_of, summarise
from mmimbal.evaluation.predictions import Predictions
from mmimbal.evaluation.retrieval import retrieve
from mmimbal.visualization.figures import draw_precision_recall, draw_roc
from mmimbal.visualization.projection import project
from mmimbal.visualization.report import build_report
from mmimbal.visualization.style import line_of

SIZE = 200
CLASSES = ('common', '<script>alert(1)</script>', 'a & b $x_1$')
HEADINGS = [
    'Metrics, %',
    'Differences from one',
    'Recall of each class',
    'Confusion',
    'Calibration',
    'Abstention',
    'Ranking, each class against the rest',
    'Embeddings of test images, by t-SNE',
    'Retrieval among test images, %',
    'Training, by epoch',
    'Where the runs come from',
]


def simulate(seed, skill):
    random = np.random.default_rng(seed)
    labels = np.random.default_rng(0).choice(3, SIZE, p=[0.5, 0.3, 0.2])
    logits = random.normal(size=(SIZE, 3)) + skill * np.eye(3)[labels]
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Predictions(
        scores,
        labels,
        np.arange(SIZE).astype(str),
        (np.arange(SIZE) // 2).astype(str),
        CLASSES,
        np.array([500, 40, 9]),
        random.normal(size=(SIZE, 5)) + 3 * np.eye(3, 5)[labels],
        dict(
            config='<b>model</b>',
            curves={'loss': {'1': 2.0, '2': 1.0}, 'val macro_f1': {'1': 30.0}},
        ),
    )


@pytest.fixture(scope='module')
def runs():
    return {
        'one': simulate(1, 1.0),
        'two & <i>': simulate(2, 3.0),
        'three': simulate(3, 1),
    }


@pytest.fixture(scope='module')
def page(runs):
    return build_report(runs, resamples=100)


class Outline(HTMLParser):
    """Collects headings, tables and tags."""

    def __init__(self):
        super().__init__()
        self.tags, self.headings, self.tables, self.ids = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for key, value in attrs if key == 'id']
        if tag == 'table':
            self.tables.append([])
        elif tag == 'tr':
            self.tables[-1].append([])
        elif tag in ('td', 'th'):
            self.tables[-1][-1].append('')

    def handle_data(self, data):
        if 'h2' in self.tags[-1:]:
            self.headings.append(data.strip())
        if self.tables and self.tables[-1] and self.tables[-1][-1]:
            self.tables[-1][-1][-1] += data.rstrip('\n')


def outline(page):
    found = Outline()
    found.feed(page)
    return found


def test_it_has_every_section_and_no_script_or_network(page):
    found = outline(page)
    assert [h for h in found.headings if h] == HEADINGS
    assert not {'script', 'link', 'img', 'b', 'i'} & set(found.tags)
    assert found.tags.count('figure') == 4 + 6 + 3 and '<b>model' not in page
    links = re.findall(r'(?:href|src|url\()=?"?([^")\s]+)', page)
    assert all(link.startswith(('#', 'data:image/png')) for link in links)
    assert len(found.ids) == len(set(found.ids))


def test_names_from_data_are_text(page):
    assert '<script>' not in page and '&lt;script&gt;alert(1)' in page
    assert 'a &amp; b $x_1$' in page and 'two &amp; &lt;i&gt;' in page


def test_metrics_and_intervals_are_those_of_the_predictions(page, runs):
    metrics, differences = outline(page).tables[:2]
    assert [row[0].split()[0] for row in metrics[1:]] == list(NAMES)
    run = runs['two & <i>']
    value = summarise(run.scores, run.labels, run.classes)['balanced_accuracy']
    drawn = {}
    for name, each in runs.items():
        measure = metrics_of(each.scores, each.labels, each.classes)
        drawn[name] = resample(measure, each.groups, 100)['balanced_accuracy']
    low, high = interval(100 * drawn['two & <i>'])
    assert metrics[1][2] == f'{value:.1f} [{low:.1f}, {high:.1f}]'
    low, high = interval(100 * (drawn['two & <i>'] - drawn['one']))
    assert differences[1][1].endswith(f'[{low:.1f}, {high:.1f}]')
    assert differences[1][1].startswith('+') and low > 0


def test_retrieval_is_shown_of_each_class(page, runs):
    header, *rows = outline(page).tables[3]
    run = runs['two & <i>']
    found = retrieve(run.embeddings, run.labels, run.groups, 3)
    assert header[3:5] == ['two & <i>: recall@1', 'two & <i>: mAP@R']
    assert [row[0] for row in rows] == [*CLASSES, 'mean of classes']
    for column, values in ((3, found.recall_at_1), (4, found.map_at_r)):
        expected = [f'{100 * value:.1f}' for value in (*values, values.mean())]
        assert [row[column] for row in rows] == expected


def test_metrics_with_symmetric_intervals_are_named(page):
    (sentence,) = re.findall(r'Noise makes (.*?) than they really are', page)
    larger, smaller = re.fullmatch(r'(.*) larger and (.*) smaller', sentence).groups()
    assert {larger, smaller} == set(BIASED) and larger in LOWER_IS_BETTER


def test_figures_are_complete_and_drawn_in_the_ink_of_the_page(page):
    figures = re.findall(r'<svg.*?</svg>', page, re.DOTALL)
    assert len(figures) == 13
    for figure in figures:
        root = ElementTree.fromstring(figure)
        drawn = [e for e in root.iter() if e.tag.endswith(('path', 'use', 'image'))]
        assert len(drawn) > 10
        assert 'currentColor' in figure and '#010203' not in figure


def test_the_same_runs_give_the_same_page(runs, page):
    assert build_report(runs, resamples=100) == page


def test_one_run_without_counts_embeddings_and_curves(runs):
    bare = dataclasses.replace(
        runs['one'], class_counts=None, embeddings=None, about={}
    )
    page = build_report({'one': bare}, resamples=20)
    found = outline(page)
    headings = [h for h in found.headings if h]
    assert headings == [
        h for h in HEADINGS if h[:4] not in ('Diff', 'Embe', 'Retr', 'Trai')
    ]
    assert 'training counts are not known' in page
    assert 'class, and its test images' in page
    assert 'class, and its training images' not in page


def test_few_groups_are_no_evidence(runs, page):
    groups = np.arange(SIZE) % 9
    few = {
        name: dataclasses.replace(run, groups=groups.astype(str))
        for name, run in runs.items()
    }
    said = build_report(few, resamples=20)
    assert f'Fewer than {FEW_GROUPS} groups' in said
    assert '<span class="sure">' not in said and 'bold' not in said
    assert 'Fewer than' not in page and '<span class="sure">' in page


def test_classes_of_few_groups_are_named(runs, page):
    groups = np.where(runs['one'].labels == 2, 'same', runs['one'].groups)
    few = {n: dataclasses.replace(run, groups=groups) for n, run in runs.items()}
    said = build_report(few, resamples=20)
    assert f'Classes with fewer than {FEW_GROUPS} groups (a &amp; b $x_1$: 1).' in said
    assert '<span class="sure">' not in said and 'Classes with fewer' not in page


def test_images_that_a_model_may_know_are_said(runs, page):
    leak = '3 of the 9 groups have the names of training groups'
    about = dict(split='val', leak=leak)
    other = dataclasses.replace(runs['one'], about=about)
    said = build_report({'other': other}, resamples=9)
    assert f'{SIZE} val images' in said and 'Embeddings of val images' in said
    assert 'other: The images are of the split val: the model may' in said
    assert 'other: 3 of the 9 groups have the names' in said
    assert 'the model may have been' not in page


def test_without_groups_each_image_is_one(runs, page):
    alone = dataclasses.replace(runs['one'], groups=runs['one'].files)
    assert f'{SIZE} test images, each a group of its own, 3' in build_report(
        {'a': alone}, 9
    )
    assert f'{SIZE} test images, in {SIZE // 2} groups, 3 classes' in page


def test_runs_can_be_distinguished(runs):
    """More than colours, with names that matplotlib hides, or alike but for signs."""
    names = ['a+b', 'a-b', '_c', *'defgh']
    page = build_report(dict.fromkeys(names, runs['one']), resamples=9)
    found = outline(page)
    assert len(found.ids) == len(set(found.ids))
    first = re.search(r'<svg.*?</svg>', page, re.DOTALL)[0]
    legend = re.findall(r'<text[^>]*>([^<]*)</text>', first)
    assert [text.strip() for text in legend[-8:]] == names
    lines = {tuple(line_of(n).items()) for n in range(24)}
    assert len(lines) == 24


def test_training_counts_of_any_run_are_used(runs):
    without = dataclasses.replace(runs['one'], class_counts=None)
    page = build_report({'one': without, 'two': runs['three']}, resamples=9)
    assert 'Recall against training images' in page
    assert 'class, and its training images' in page


def test_ranking_curves_begin_at_0(runs):
    """With a constant score, ROC is the diagonal and precision the share."""
    constant = dataclasses.replace(runs['one'], scores=np.full((SIZE, 3), 1 / 3))
    for draw, expected in (
        (draw_roc, lambda share: [[0, 0], [1, 1]]),
        (draw_precision_recall, lambda share: [[0, share], [1, share]]),
    ):
        panels = [axes for axes in draw({'one': constant}).axes if axes.lines]
        shares = sorted(np.bincount(constant.labels) / SIZE, reverse=True)
        for axes, share in zip(panels, shares, strict=True):
            assert np.allclose(axes.lines[0].get_xydata(), expected(share))


def test_collapsed_embeddings_are_drawn_as_one_point(runs):
    flat = dataclasses.replace(runs['one'], embeddings=np.ones((SIZE, 5)))
    assert (project(flat.embeddings) == 0).all()
    assert 'Embeddings of test images' in build_report({'one': flat}, resamples=20)


def test_embeddings_of_one_number_are_drawn_as_they_are():
    line = np.linspace(0, 1, SIZE)[:, None]
    assert np.array_equal(project(line), np.hstack([line, np.zeros_like(line)]))


def test_runs_of_other_images_are_refused(runs):
    other = dataclasses.replace(runs['two & <i>'], files=runs['one'].files[::-1])
    with pytest.raises(ValueError, match='one and two cannot be compared in pairs'):
        build_report({'one': runs['one'], 'two': other})


def test_a_class_without_test_images_is_named(runs):
    none = dataclasses.replace(runs['one'], classes=(*CLASSES[:2], 'c', 'd'))
    scores = np.full((SIZE, 4), 0.25)
    none = dataclasses.replace(none, scores=scores)
    with pytest.raises(ValueError, match='no test image of class d'):
        build_report({'one': none})
