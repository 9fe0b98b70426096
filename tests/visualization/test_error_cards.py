"""Pictures of errors on a page."""

import base64
import io
import re

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from mmimbal.inference.worst_errors import ErrorImage
from mmimbal.visualization.error_cards import cards_of, overlay, thumbnail
from mmimbal.visualization.report import build_report
from tests.visualization.test_report import simulate

RED = np.array([200, 30, 30], np.uint8)


def error(**changes) -> ErrorImage:
    """Return an error with a red image, and a map that is 1 at the lower left."""
    values = dict(
        file='images/a & b.jpg',
        true='<mel>',
        predicted='nv',
        probability=0.98765,
        image=np.broadcast_to(RED, (40, 80, 3)).copy(),
        activation=np.array([[0, 0, 0], [1, 0, 0]], np.float32),
    )
    return ErrorImage(**{**values, **changes})


def decoded(uri):
    assert uri.startswith('data:image/jpeg;base64,')
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(',')[1]))), int)


def test_a_card():
    (card,) = cards_of([error()])
    assert (card['true'], card['predicted']) == ('<mel>', 'nv')
    assert (card['probability'], card['map_size']) == ('98.8', '2 x 3')
    image = decoded(card['image'])
    assert image.shape == (64, 128, 3) and np.abs(image - RED).max() < 6
    assert decoded(card['activation']).shape == (64, 128, 3)


@pytest.mark.parametrize('shape', [(300, 100), (20, 50), (500, 1)])
def test_a_thumbnail_keeps_the_proportions(shape):
    width, height = thumbnail(np.zeros((*shape, 3), np.uint8)).size
    assert max(width, height) == 128
    assert min(width, height) == max(1, round(128 * min(shape) / max(shape)))


def test_a_map_is_drawn_where_it_belongs():
    one = error()
    drawn = np.asarray(overlay(one.image, one.activation), float)
    grey = np.asarray(Image.fromarray(one.image).convert('L'))[0, 0]
    for place, value in (((63, 0), 1.0), ((0, 127), 0.0)):
        colour = 255 * np.array(colormaps['viridis'](value)[:3])
        assert drawn[place] == pytest.approx(0.4 * grey + 0.6 * colour, abs=1)


def test_names_on_cards_are_text():
    run = simulate(1, 1.0)
    page = build_report({'one': run}, 9, errors=[error()])
    assert page.count('images/a &amp; b.jpg') == 2 and '&lt;mel&gt;' in page
    assert '<mel>' not in page and page.count('<img') == 2
    assert 'A map has 2 x 3 values' in page
    assert all('alt="' in tag for tag in re.findall('<img[^>]*>', page))


def test_a_page_without_errors_says_so():
    page = build_report({'one': simulate(1, 1.0)}, 9, errors=[])
    assert 'There is no error.' in page and '<img' not in page
