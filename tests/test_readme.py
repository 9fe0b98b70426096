"""README and docs say what results/ says, and name files that are there."""

import re

import pytest

from mmimbal.experiments.page import write_page
from tests.conftest import ROOT

PAGE = ROOT / 'docs' / 'results.md'
README = ROOT / 'README.md'


def test_the_page_of_results_is_that_of_the_results(tmp_path):
    write_page(ROOT / 'results', tmp_path / 'results.md')
    assert (tmp_path / 'results.md').read_text() == PAGE.read_text()


def test_results_in_the_readme_stand_in_the_page_word_for_word():
    section = README.read_text().split('\n## Does metric learning help?\n')[1]
    section = section.split('\n## ')[0]
    page = PAGE.read_text().splitlines()
    cells = [line for line in section.splitlines() if line.startswith('|')]
    counts = re.findall(r'Experiments: .*', section)
    assert len(cells) > 4 and counts
    for line in (*cells, *counts):
        assert line in page
    for number in re.findall(r'\d+\.\d+', ''.join(section.split('\n|')[0])):
        assert number in PAGE.read_text()
    (picture,) = re.findall(r'!\[.*\]\(docs/(.*)\)', section)
    assert (PAGE.parent / picture).is_file() and f'({picture})' in PAGE.read_text()


@pytest.mark.parametrize('file', [README, *sorted((ROOT / 'docs').glob('*.md'))])
def test_files_that_are_named_are_there(file):
    paths = r'(?<![\w./-])(?:configs|tools|docs|tests|benchmarks)/[\w./-]*\w'
    named = set(re.findall(paths, file.read_text()))
    missing = [name for name in named if not (ROOT / name).exists()]
    # What stands before a * is the beginning of names.
    missing = [name for name in missing if not list(ROOT.glob(f'{name}*'))]
    assert named and not missing


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) < 150
