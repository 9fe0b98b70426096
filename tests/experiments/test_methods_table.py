"""The page of methods says what the bases say."""

import pytest

from mmimbal.command_line.experiment import words_of
from mmimbal.experiments.methods_table import (
    difference_of,
    idea_of,
    methods_of,
    methods_page,
    papers_of,
)
from tests.conftest import CONFIGS, ROOT


def test_the_page_is_that_of_the_bases():
    page = ROOT / 'docs' / 'methods.md'
    assert page.read_text() == methods_page(), 'run tools/methods.py'


def test_every_word_is_a_row_that_links_to_its_base():
    for stage in ('stage1', 'stage2'):
        rows = list(methods_of(stage))
        assert all(cell for row in rows for cell in row)
        for row, word in zip(rows, words_of(stage), strict=True):
            link = f'../configs/_base_/{stage}/{word}.py'
            assert row[0] == f'[`{word}`]({link})'
            assert (ROOT / 'docs' / link).is_file()


@pytest.mark.parametrize(
    ('word', 'idea', 'papers', 'needs', 'mixup', 'difference'),
    [
        ('ce', 'Cross-entropy alone: the baseline', '-', '-', 'yes', '-'),
        (
            'proco',
            'Contrast with a distribution of each class',
            'arXiv:2403.06726',
            'class counts, the epoch',
            'no',
            'both losses see the same images, so that no view is needed',
        ),
        (
            'supcon_views',
            'SupCon on views of its own',
            'arXiv:2004.11362, arXiv:2007.07314',
            'views, P x K batches, class counts',
            'cross-entropy',
            '-',
        ),
        (
            'remix',
            'Mixup, with mixed images given to rare classes',
            'arXiv:2007.03943',
            'class counts, Mixup or CutMix',
            'yes',
            'MMPretrain mixes the images, so that CutMix works too',
        ),
    ],
)
def test_what_is_read_of_a_base(word, idea, papers, needs, mixup, difference):
    rows = {row[0]: row[1:] for row in methods_of('stage1')}
    link = f'[`{word}`](../configs/_base_/stage1/{word}.py)'
    assert rows[link] == (idea, papers, needs, mixup, difference)


def test_a_comment_of_several_lines(tmp_path):
    base = tmp_path / 'base.py'
    base.write_text(
        '# One idea (arXiv:1234.56789) of\n# two lines. More (CVPR 2022).\n'
        '# Differs: in a thing.\nx = 1\n'
    )
    assert idea_of(base) == 'One idea of two lines'
    assert papers_of(base) == ['arXiv:1234.56789', 'CVPR 2022']
    assert difference_of(base) == 'in a thing'
    above = tmp_path / 'above.py'
    above.write_text("# More (ECCV 2016).\n_base_ = ['../x/y.py', 'base.py']\n")
    assert papers_of(above) == ['ECCV 2016', 'arXiv:1234.56789', 'CVPR 2022']
    base.write_text('x = 1\n')
    assert (idea_of(base), papers_of(base), difference_of(base)) == ('', [], '-')


def test_a_base_is_short_and_begins_with_an_idea_of_eight_words():
    for stage in ('stage1', 'stage2'):
        for word in words_of(stage):
            base = CONFIGS / f'_base_/{stage}/{word}.py'
            assert 1 <= len(idea_of(base).split()) <= 8, word
            assert len(base.read_text().splitlines()) <= 15, word


@pytest.mark.parametrize(
    ('stage', 'words'),
    [
        (
            'stage1',
            'proco kcl tsc gpaco supervised_prototypes range centre seql lade remix '
            'etf max_norm experts',
        ),
        ('stage2', 'los causal experts cosine_means'),
    ],
)
def test_what_differs_from_the_authors_code_is_said(stage, words):
    for word in words.split():
        assert difference_of(CONFIGS / f'_base_/{stage}/{word}.py') != '-', word
