"""The report in a real browser: Debian's chromium, headless."""

import dataclasses
import json
import re
import shutil
import subprocess

import pytest

from mmimbal.inference.fit_decisions import Wanted, fit_decisions
from mmimbal.visualization.report import build_report
from tests.visualization.test_error_cards import error
from tests.visualization.test_report import simulate

pytestmark = pytest.mark.browser

# Runs first: collects errors; at the end writes what it sees into the page.
PROBE = """<script>
const errors = [];
window.addEventListener('error', e => errors.push(String(e.message)));
window.addEventListener('load', () => {
  const luminance = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number);
    return (0.3 * r + 0.6 * g + 0.1 * b) / 255; };
  const figures = [...document.querySelectorAll('figure')].map(f => {
    const svg = f.querySelector('svg');
    const box = svg ? svg.getBoundingClientRect() : {width: 0, height: 0};
    const drawn = svg ? [...svg.querySelectorAll('path, use, image, text')].filter(
      e => { const b = e.getBoundingClientRect(); return b.width || b.height; }) : [];
    return {name: f.innerText.split('\\n')[0], width: box.width, height: box.height,
      drawn: drawn.length, right: f.getBoundingClientRect().right};
  });
  const probe = document.createElement('pre');
  probe.id = 'probe';
  probe.textContent = JSON.stringify({errors, figures,
    images: [...document.images].map(i => i.naturalWidth),
    resources: performance.getEntriesByType('resource').map(r => r.name),
    width: document.documentElement.scrollWidth, window: window.innerWidth,
    ink: luminance(getComputedStyle(document.body).color),
    dark: matchMedia('(prefers-color-scheme: dark)').matches});
  document.body.append(probe);
});
</script>"""

# Of letters, in pixels: the size of the font by how much the figure is shrunk.
TEXT = """text: Math.min(...[...svg.querySelectorAll('text')].map(t =>
  parseFloat(getComputedStyle(t).fontSize) * box.width / svg.viewBox.baseVal.width))"""


def browser() -> str:
    for name in ('chromium', 'chromium-browser', 'google-chrome'):
        if shutil.which(name):
            return name
    raise FileNotFoundError(
        'no chromium: install it, on Debian with apt-get install chromium'
    )


def look(page: str, tmp_path, width=1000, dark=False, probe=PROBE) -> dict:
    """Return what the browser sees of a page."""
    file = tmp_path / 'page.html'
    file.write_text(page.replace('<head>', f'<head>{probe}', 1), encoding='utf-8')
    command = [browser(), '--headless=new', '--no-sandbox', '--disable-gpu']
    command += [f'--window-size={width},900', '--virtual-time-budget=5000']
    command += [f'--blink-settings=preferredColorScheme={0 if dark else 1}']
    command += [f'--user-data-dir={tmp_path / "profile"}', '--dump-dom', file.as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre id="probe">(.*?)</pre>', result.stdout, re.DOTALL)
    assert found, result.stdout[-2000:] + result.stderr[-2000:]
    text = found[1].replace('&lt;', '<').replace('&gt;', '>').replace('&amp;', '&')
    return json.loads(text)


@pytest.fixture(scope='module')
def page():
    runs = {'one': simulate(1, 1.0), 'two & <i>': simulate(2, 3.0)}
    wanted = Wanted(sensitivity=dict(common=0.7), accuracy=0.7, confidence=0.7)
    return build_report(runs, 50, fit_decisions(simulate(4, 1.0), wanted), [error()])


@pytest.mark.parametrize('dark', [False, True])
@pytest.mark.parametrize('width', [500, 1400])
def test_it_is_complete(page, tmp_path, width, dark):
    seen = look(page, tmp_path, width, dark)
    assert seen['errors'] == []
    assert all(name.startswith('data:') for name in seen['resources'])
    assert seen['images'] == [128, 128] and len(seen['figures']) == 12
    for figure in seen['figures']:
        assert figure['width'] > 100 and figure['height'] > 100, figure
        assert figure['drawn'] > 10, figure
        assert figure['right'] <= seen['window'] + 1, figure
    assert seen['width'] <= seen['window']
    assert seen['dark'] == dark and (seen['ink'] > 0.6) == dark


# As on paper: the rules for print, whatever the medium. Errors would be noticed above.
PRINTED = """<script>
window.addEventListener('load', () => {
  const rules = [...document.styleSheets[0].cssRules].filter(
    r => r.media && r.media.mediaText == 'print');
  const style = document.createElement('style');
  style.textContent = rules.flatMap(r => [...r.cssRules]).map(r => r.cssText).join('');
  document.head.append(style);
  const of = (selector, key) => [...document.querySelectorAll(selector)].map(
    e => e.getBoundingClientRect()[key]);
  const probe = document.createElement('pre');
  probe.id = 'probe';
  probe.textContent = JSON.stringify({rules: rules.length,
    right: Math.max(...of('table, svg, pre', 'right')), configs: of('pre', 'height'),
    window: window.innerWidth, text: document.querySelector('details pre').innerText});
  document.body.append(probe);
});
</script>"""


def test_on_paper_it_has_all_columns_and_the_config(tmp_path):
    about = dict(config=60 * 'some_key = dict(of=1, a=2, rather=3, long=4, config=5)\n')
    run = dataclasses.replace(simulate(1, 1.0), about=about)
    names = [f'a method with a long name + another for stage 2, {n}' for n in range(4)]
    page = build_report(dict.fromkeys(names, run), resamples=20)
    seen = look(page, tmp_path, 700, probe=PRINTED)  # A4, less margins
    assert seen['rules'] == 1 and seen['right'] <= seen['window']
    assert len(seen['configs']) == 4 and min(seen['configs']) > 500
    assert seen['text'].count('some_key') == 60


def test_text_of_figures_can_be_read_on_a_phone(page, tmp_path):
    """None is shrunk to less than 8 pixels."""
    narrow = '<style>html { width: 390px }</style>'  # windows have at least 500
    probe = narrow + PROBE.replace('drawn: drawn.length', TEXT)
    seen = look(page, tmp_path, 500, probe=probe)['figures']
    assert len(seen) == 12 and min(figure['text'] for figure in seen) >= 8, seen


def test_an_empty_figure_and_an_error_would_be_noticed(page, tmp_path):
    empty = re.sub(r'<svg.*?</svg>', '<svg></svg>', page, count=1, flags=re.DOTALL)
    seen = look(empty, tmp_path, probe=PROBE + '<script>nothing.here()</script>')
    assert 'nothing is not defined' in seen['errors'][0]
    assert seen['figures'][0]['drawn'] == 0
