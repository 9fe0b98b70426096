"""Results of a grid of experiments, and their page."""

import pytest

from mmimbal.experiments.page import write_page
from tests.example_results import write_results


@pytest.fixture
def results(tmp_path):
    write_results(tmp_path / 'results' / 'study')
    return tmp_path / 'results'


@pytest.fixture
def page(results, tmp_path):
    write_page(results / 'study', tmp_path / 'docs' / 'results.md', resamples=200)
    return tmp_path / 'docs' / 'results.md'
