"""README and docs say what results/ says, and name files that are there."""

import re

import pytest
from mmengine.config import Config

from mmimbal.command_line.experiment import parse_experiment
from mmimbal.experiments.page import write_index, write_page
from tests.conftest import ROOT

README = ROOT / 'README.md'
INDEX = ROOT / 'docs' / 'results.md'
RESULTS = sorted((ROOT / 'docs' / 'results').glob('*.md'))
PAGES = [README, *sorted((ROOT / 'docs').glob('*.md')), *RESULTS]


DECIMAL = re.compile(r'[-+]?\d+\.\d+')


def units(number: str) -> tuple[int, int]:
    """Return a printed number in units of its last digit, and how many decimals."""
    whole, decimals = number.split('.')
    return int(whole + decimals), len(decimals)


def assert_same_page(found: str, expected: str) -> None:
    """Compare text and whole numbers exactly, decimals to one unit of the last digit.

    Means and bootstrap intervals are sums of floats. Their order, and so what is
    rounded at a half, differs between CPUs.
    """
    assert DECIMAL.sub('#', found) == DECIMAL.sub('#', expected)
    for one, other in zip(
        DECIMAL.findall(found), DECIMAL.findall(expected), strict=True
    ):
        (value, decimals), (wanted, as_many) = units(one), units(other)
        assert decimals == as_many and abs(value - wanted) <= 1, (one, other)


def test_each_grid_with_results_has_its_page(tmp_path):
    write_index(ROOT / 'results', tmp_path / 'results.md')
    assert (tmp_path / 'results.md').read_text() == INDEX.read_text()
    grids = {file.parent.name for file in (ROOT / 'results').glob('*/grid.json')}
    assert {page.stem for page in RESULTS} == grids


@pytest.mark.parametrize('page', RESULTS, ids=lambda page: page.stem)
def test_a_page_of_results_is_that_of_the_results(page, tmp_path):
    write_page(ROOT / 'results' / page.stem, tmp_path / page.name)
    found = (tmp_path / page.name).read_text()
    # Only a path in the working folder is shown whole.
    found = found.replace(f'`{page.stem}/`', f'`results/{page.stem}/`')
    assert_same_page(found, page.read_text())


def test_a_last_digit_may_differ_and_nothing_else():
    page = '| a | -0.0 ± 12.30 | 12 |'
    for same in ('| a | +0.1 ± 12.29 | 12 |', '| a | -0.1 ± 12.31 | 12 |'):
        assert_same_page(same, page)
    for old, new in [('-0.0', '0.2'), ('12.30', '12.3'), ('| 12', '| 13'), ('a', 'b')]:
        with pytest.raises(AssertionError):
            assert_same_page(page.replace(old, new), page)


def test_results_in_the_readme_stand_in_the_page_word_for_word():
    section = README.read_text().split('\n## Does metric learning help?\n')[1]
    section = section.split('\n## ')[0]
    page = (ROOT / 'docs' / 'results' / 'study_pretrained.md').read_text()
    cells = [line for line in section.splitlines() if line.startswith('|')]
    counts = re.findall(r'Experiments: .*', section)
    assert len(cells) > 4 and counts
    for line in (*cells, *counts):
        assert line in page.splitlines()
    for number in re.findall(r'\d+\.\d+', ''.join(section.split('\n|')[0])):
        assert number in page
    figure = 'study_pretrained_plug_in.png)'
    assert f'docs/results/{figure}' in section and f'({figure}' in page


@pytest.mark.parametrize('file', [p for p in PAGES if p.stem != 'migration'])
def test_files_that_are_named_are_there(file):
    """But those to write, ``my_...``, and those of before, on the page of migration."""
    paths = r'(?<![\w./-])(?:configs|tools|docs|tests|benchmarks)/[\w./-]*\w'
    named = set(re.findall(paths, file.read_text()))
    missing = [name for name in named if not (ROOT / name).exists()]
    # What stands before a * is the beginning of names.
    missing = [name for name in missing if not list(ROOT.glob(f'{name}*'))]
    assert [name for name in missing if '/my_' not in name] == []


def test_the_readme_is_short():
    """At most 650 words beside tables and code."""
    text = re.sub(r'```.*?```', '', README.read_text(), flags=re.S)
    lines = [line for line in text.splitlines() if not line.startswith('|')]
    assert len(' '.join(lines).split()) <= 650


def test_every_page_is_linked_from_the_readme():
    pages = {path.name for path in (ROOT / 'docs').glob('*.md')}
    linked = set(re.findall(r'\(docs/([\w.]+\.md)\)', README.read_text()))
    assert pages == linked


@pytest.mark.parametrize('file', PAGES)
def test_links_lead_somewhere(file):
    targets = re.findall(r'\]\(([^)#]+)\)', file.read_text())
    broken = [t for t in targets if '://' not in t and not (file.parent / t).exists()]
    assert broken == []


@pytest.mark.parametrize('file', PAGES)
def test_experiments_that_are_named_exist(file):
    """Names of four words in commands, but for words that a page tells to add.

    A data set that a command of the page writes is as good as ``own``.
    """
    text = file.read_text()
    for folder in re.findall(r'--out data/(\w+)', text):
        text = text.replace(f' {folder}/', ' own/')
    names = re.findall(
        r'(?<![\w/.-])\w+/(?:64px|224px|pretrained|digits)/[\w+/]+', text
    )
    for name in names:
        if not any(word in name for word in ('my_', 'METHOD', 'SET')):
            parse_experiment(name)


def test_pitfalls_name_tests_that_exist():
    page = (ROOT / 'docs' / 'pitfalls.md').read_text()
    named = re.findall(r'`((?:\w+/)*test_\w+\.py)(?:::(\w+))?`', page)
    assert len(named) >= page.count('\n| ') - 1
    for file, test in named:
        text = (ROOT / 'tests' / file).read_text()
        assert not test or f'\ndef {test}(' in text, (file, test)


def test_the_recipe_of_the_docs_is_the_base():
    page = (ROOT / 'docs' / 'imagenet_weights.md').read_text()
    (block,) = (
        b for b in re.findall(r'```python\n(.*?)```', page, re.S) if 'pk =' in b
    )
    shown = Config.fromstring(block, '.py')
    base = Config.fromfile(ROOT / 'configs/_base_/stage1/recommended.py')
    for name in ('head', 'batches', 'views', 'stage1_checkpoint'):
        assert shown[name] == base[name]
