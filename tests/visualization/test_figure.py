"""Any name can be drawn, in every figure."""

import re
import warnings
from dataclasses import replace
from xml.etree import ElementTree

import cv2
import matplotlib.figure
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.font_manager import fontManager, ttfFontProperty
from matplotlib.ft2font import FT2Font

from mmimbal.evaluation.predictions import Predictions
from mmimbal.visualization import draw_class_counts, draw_recall_by_count, figures
from mmimbal.visualization import figure as module
from mmimbal.visualization.differences import draw_differences
from mmimbal.visualization.figure import Figure, choose_fonts
from mmimbal.visualization.names import plain
from mmimbal.visualization.plug_in import draw_plug_in_effects
from mmimbal.visualization.svg import picture

NAMES = (
    '$\\frac{1$',
    '$x_1^2$ & <b>',
    '黑色素瘤',
    'سرطان الجلد',
    'two\nlines\x00',
    f'a {"very " * 30}long name',
    '_hidden',
    '\\alpha_{2}^',
)
SIZE = len(NAMES)
RANDOM = np.random.default_rng(0)
LABELS = np.arange(5 * SIZE) % SIZE
RUN = Predictions(
    RANDOM.dirichlet(np.ones(SIZE), len(LABELS)),
    LABELS,
    LABELS.astype(str),
    LABELS.astype(str),
    NAMES,
)
RUNS = dict.fromkeys(NAMES, RUN)
COUNTS = list(range(SIZE, 0, -1))
RESAMPLES = {name: RANDOM.normal(size=50) for name in NAMES}
DRAWN = {
    'counts': (draw_class_counts, {name: COUNTS for name in NAMES}, NAMES),
    'recall': (
        draw_recall_by_count,
        {name: RANDOM.random((2, SIZE)) for name in NAMES},
        COUNTS,
        NAMES,
    ),
    'differences': (
        draw_differences,
        {name: RESAMPLES for name in NAMES},
        dict(zip(NAMES, reversed(NAMES), strict=True)),
        NAMES[:3],
    ),
    'plug-in effects': (
        draw_plug_in_effects,
        {name: {(each, name): RESAMPLES for each in NAMES[:4]} for name in NAMES},
        '$macro_F1$',
    ),
    'confusion': (figures.draw_confusion, RUN),
    'reliability': (figures.draw_reliability, RUNS),
    'roc': (figures.draw_roc, RUNS),
    'precision': (figures.draw_precision_recall, RUNS),
    'embedding': (figures.draw_embedding, RANDOM.random((len(LABELS), 2)), RUN),
    'training': (figures.draw_training, {name: {1: 1.0, 2: 2.0} for name in NAMES}),
}


@pytest.mark.parametrize('name', DRAWN)
def test_every_figure_can_be_saved(tmp_path, name):
    draw, *arguments = DRAWN[name]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        draw(*arguments).savefig(tmp_path / 'x.png', format='png')
    assert cv2.imread(str(tmp_path / 'x.png')).std() > 5


@pytest.mark.parametrize('name', DRAWN)
def test_names_are_text_on_a_page(name):
    drawn = ElementTree.fromstring(picture('caption', *DRAWN[name]).svg)
    texts = [''.join(text.itertext()) for text in drawn.iter() if 'text' in text.tag]
    written = ' '.join(' '.join(texts).split())
    for each in NAMES:
        # A title has fewer columns.
        assert plain(each, 26)[:12] in written, each


def test_these_names_are_hard_to_draw(tmp_path):
    plainly = matplotlib.figure.Figure()
    plainly.text(0, 0, NAMES[0])
    with pytest.raises(ValueError, match='frac'):
        plainly.savefig(tmp_path / 'x.png')


def test_a_logarithmic_axis_keeps_its_numbers(tmp_path):
    """Which matplotlib writes as formulas."""
    figure = draw_class_counts({'train': [1000, 1]}, ['a', '$b$'])
    for file in ('a.png', 'b.png'):
        figure.savefig(tmp_path / file, format='png')
    assert (tmp_path / 'a.png').read_bytes() == (tmp_path / 'b.png').read_bytes()
    numbers = [text for text in figure.axes[0].get_yticklabels() if text.get_text()]
    formulas = [text for text in numbers if text.get_text().startswith('$\\mathd')]
    assert formulas and all(text.get_parse_math() for text in formulas)


def test_long_names_leave_room(tmp_path):
    for draw in (
        lambda names: draw_class_counts({'train': COUNTS}, names),
        lambda names: draw_recall_by_count({'a': [COUNTS]}, COUNTS, names),
        lambda names: figures.draw_confusion(
            Predictions(
                RUN.scores[:, :3], LABELS % 3, RUN.files, RUN.groups, tuple(names[:3])
            )
        ),
    ):
        figure = draw([f'{"o" * 60}{n}' for n in range(SIZE)])
        with warnings.catch_warnings():
            warnings.simplefilter('error')  # that there is no room
            figure.savefig(tmp_path / 'x.png', format='png')
        (axes,) = figure.axes
        assert min(axes.get_window_extent().size) > 1.5 * figure.dpi


def make_font(path, name, characters):
    """Write a font with black squares."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 1000), (1000, 1000), (1000, 0)):
        pen.lineTo(corner)
    pen.closePath()
    glyphs = ['.notdef', *(f'u{ord(each):X}' for each in characters)]
    builder = FontBuilder(1000)
    builder.setupGlyphOrder(glyphs)
    builder.setupCharacterMap({ord(each): f'u{ord(each):X}' for each in characters})
    builder.setupGlyf(dict.fromkeys(glyphs, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
    builder.setupHorizontalHeader(ascent=1000, descent=0)
    builder.setupNameTable(dict(familyName=name, styleName='Regular'))
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return ttfFontProperty(FT2Font(path))


@pytest.fixture
def fonts(tmp_path):
    return [
        make_font(tmp_path / 'a.ttf', 'Few Squares', '黑色'),
        make_font(tmp_path / 'b.ttf', 'Many Squares', '黑色素'),
        make_font(tmp_path / 'c.ttf', 'Other Squares', '瘤色'),
    ]


def test_the_fewest_fonts_that_have_all_characters(fonts, tmp_path):
    assert choose_fonts(set('黑色'), fonts) == (['Few Squares'], set())
    chosen, unknown = choose_fonts(set('黑色素瘤皮'), fonts)
    assert (chosen, unknown) == (['Many Squares', 'Other Squares'], {'皮'})
    assert choose_fonts(set('皮'), fonts) == ([], {'皮'})
    (tmp_path / 'a.ttf').unlink()
    (tmp_path / 'b.ttf').write_text('broken')
    assert choose_fonts(set('黑色'), fonts) == (['Other Squares'], {'黑'})


def draw_name(path, name, **options):
    figure = Figure(figsize=(2, 1), dpi=100)
    figure.text(0.1, 0.2, name, fontsize=36)
    figure.savefig(path, format='png', **options)
    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)


def test_an_installed_font_is_used(fonts, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(module, 'print_log', lambda text, *_: said.append(text))
    monkeypatch.setattr(fontManager, 'ttflist', [*fontManager.ttflist, *fonts])
    pixels = draw_name(tmp_path / 'x.png', '素')
    rows, columns = np.nonzero(pixels < 128)
    square = pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert (square < 128).all() and square.shape == pytest.approx((50, 50), abs=1)
    assert said == []


def test_characters_without_a_font_are_said_once(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(module, 'print_log', lambda text, *_: said.append(text))
    usual = [font for font in fontManager.ttflist if 'DejaVu' in font.name]
    last = [font for font in fontManager.ttflist if font.name == module.LAST_RESORT]
    monkeypatch.setattr(fontManager, 'ttflist', usual + last)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        draw_name(tmp_path / 'x.png', 'a 黑黑色\u200d')
    (text,) = said
    assert re.search(r'has 2 characters of names.*: 色 黑\. Install one', text)
    draw_name(tmp_path / 'x.png', 'aß\u0301 ע')
    picture('caption', Figure)
    assert len(said) == 1
    svg = picture('caption', lambda: draw_class_counts({'a': [1]}, ['黑'])).svg
    assert '黑' in svg and len(said) == 1  # browsers have fonts of their own


def long_run(classes: int) -> Predictions:
    """Predictions for one image of each of many classes with long names."""
    labels = np.arange(classes)
    names = [f'a finding of the skin, {n}' for n in labels]
    keys = labels.astype(str)
    return Predictions(np.eye(classes), labels, keys, keys, names)


EFFECTS = dict.fromkeys(('crt', 'lws', 'mean'), np.arange(3.0))
LONG = ('bcl_balanced_weight1', 'no_metric_loss_of_any_kind')


def embedding(classes: int) -> Figure:
    return figures.draw_embedding(np.eye(classes)[:, :2], long_run(classes))


@pytest.mark.parametrize(
    'draw',
    [
        lambda: embedding(2),
        lambda: embedding(26),
        lambda: embedding(40),
        lambda: figures.draw_roc({f'run {n}': long_run(2) for n in range(12)}),
        lambda: draw_plug_in_effects(
            {'one': {LONG: EFFECTS, LONG[::-1]: EFFECTS}}, 'points'
        ),
    ],
)
def test_legends_fit_and_leave_room(draw):
    drawn = draw()
    drawn.draw_without_rendering()
    (legend,) = drawn.legends
    box, page = legend.get_window_extent(), drawn.bbox
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= page.x1 and box.y1 <= page.y1
    for axes in drawn.axes:
        if axes.get_visible():
            assert axes.bbox.height > 80 and axes.bbox.width > 80


ALIKE = [f'benign lesion of the upper trunk, kind {k}, {"seen " * 5}' for k in 'AB']


@pytest.mark.parametrize('draw', [figures.draw_roc, figures.draw_precision_recall])
def test_titles_of_panels_do_not_meet(draw):
    """Also names that are alike at both ends, which are not shortened."""
    run = replace(long_run(4), classes=(*ALIKE, 'c', 'd'))
    drawn = draw({'one': run})
    drawn.draw_without_rendering()
    boxes = [axes.title.get_window_extent() for axes in drawn.axes]
    for box, axes in zip(boxes, drawn.axes, strict=True):
        assert box.x0 >= 0 and box.x1 <= drawn.bbox.x1 and axes.bbox.height > 80
    assert boxes[0].x1 < boxes[1].x0


@pytest.mark.parametrize('names', [ALIKE, [f'{n} {"o" * 36}' for n in range(30)]])
def test_a_legend_of_long_names_leaves_room_for_the_points(names):
    count = len(names)
    run = replace(long_run(count), classes=tuple(names))
    drawn = figures.draw_embedding(np.eye(count)[:, :2], run)
    drawn.draw_without_rendering()
    (legend,), (axes,) = drawn.legends, drawn.axes
    assert axes.bbox.width > 2.5 * drawn.dpi
    assert legend.get_window_extent().x0 >= axes.bbox.x1


def test_a_name_that_looks_like_a_tag_stays_as_it_is():
    names = ['a id="x"', 'href="#x"', '#010203']
    svg = picture('caption', lambda: draw_class_counts({'a': [1, 2, 3]}, names)).svg
    texts = [each.text for each in ElementTree.fromstring(svg).iter()]
    assert set(names) <= {(text or '').strip() for text in texts}


def test_a_pair_has_one_colour_in_all_panels_and_in_the_legend():
    pairs = ('recipe', 'control'), ('recipe', 'ce')
    by_dataset = {'one': {pairs[1]: EFFECTS}, 'two': dict.fromkeys(pairs, EFFECTS)}
    drawn = draw_plug_in_effects(by_dataset, 'points')
    (legend,) = drawn.legends
    texts = [text.get_text() for text in legend.get_texts()]
    colours = {
        text: handle.get_color()
        for text, handle in zip(texts, legend.legend_handles, strict=True)
    }
    assert set(texts) == {'recipe minus control', 'recipe minus ce'}
    first, second = ({line.get_color() for line in a.lines[1:]} for a in drawn.axes[:2])
    assert first & set(colours.values()) == {colours['recipe minus ce']}
    assert set(colours.values()) <= second


def test_more_classes_than_a_legend_can_name():
    assert not embedding(60).legends
