"""The page of a comparison in a real browser."""

import pytest

from mmimbal.experiments.compare_page import write_compare_page
from mmimbal.experiments.comparison import JUDGED_BY
from mmimbal.experiments.grid_results import read_grid_results
from tests.browser.test_report import PROBE, TEXT, look
from tests.experiments.test_compare import data, write_results  # noqa: F401 (fixture)

pytestmark = pytest.mark.browser
PHONE = '<style>html { width: 390px }</style>'  # windows have at least 500


@pytest.fixture
def page(data, tmp_path):  # noqa: F811
    write_results(data, tmp_path / 'work')
    results = read_grid_results(tmp_path / 'work' / 'results' / 'compare', 50)
    commands = ['python tools/train.py cells/64px/recommended ' + 40 * '--long=option ']
    write_compare_page(results, data, commands, False, tmp_path / 'compare.html')
    return (tmp_path / 'compare.html').read_text()


@pytest.mark.parametrize('width', [500, 1280])
def test_it_fits_and_has_its_figures(page, tmp_path, width):
    seen = look(page, tmp_path, width)
    assert seen['errors'] == [] and seen['resources'] == []
    assert len(seen['figures']) == len(JUDGED_BY)
    for figure in seen['figures']:
        assert figure['drawn'] > 10 and figure['right'] <= seen['window'] + 1
    assert seen['width'] <= seen['window']


def test_text_of_its_figures_can_be_read_on_a_phone(page, tmp_path):
    probe = PHONE + PROBE.replace('drawn: drawn.length', TEXT)
    figures = look(page, tmp_path, 500, probe=probe)['figures']
    assert len(figures) == len(JUDGED_BY)
    assert all(figure['text'] >= 8 for figure in figures)
