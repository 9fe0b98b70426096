"""The page of methods says what the bases say."""

import pytest

from mmimbal.command_line.experiment import words_of
from mmimbal.experiments.methods_table import idea_of, methods_of, methods_page
from tests.conftest import CONFIGS, ROOT


def test_the_page_is_that_of_the_bases():
    page = ROOT / 'docs' / 'methods.md'
    assert page.read_text() == methods_page(), 'run tools/methods.py'


def test_every_word_is_a_row():
    for stage in ('stage1', 'stage2'):
        rows = list(methods_of(stage))
        assert [row[0].strip('`') for row in rows] == words_of(stage)
        assert all(cell for row in rows for cell in row)


@pytest.mark.parametrize(
    ('word', 'idea', 'papers', 'needs', 'mixup'),
    [
        ('ce', 'Cross-entropy alone', '-', '-', 'yes'),
        (
            'supcon',
            'Supervised contrastive learning of two views, on a projection',
            'arXiv:2004.11362',
            'views',
            'no',
        ),
        (
            'supcon_views',
            'As bcl_views.py, with SupCon',
            'arXiv:2004.11362',
            'views, P x K batches, class counts',
            'cross-entropy',
        ),
    ],
)
def test_what_is_read_of_a_base(word, idea, papers, needs, mixup):
    rows = {row[0]: row[1:] for row in methods_of('stage1')}
    assert rows[f'`{word}`'] == (idea, papers, needs, mixup)


def test_a_comment_of_several_lines(tmp_path):
    base = tmp_path / 'base.py'
    base.write_text(
        '# One idea (arXiv:1234.56789) of\n# two lines. More (CVPR 2022).\n'
    )
    assert idea_of(base) == ('One idea of two lines', ['arXiv:1234.56789', 'CVPR 2022'])
    base.write_text('x = 1\n')
    assert idea_of(base) == ('', [])


def test_bases_begin_with_their_idea():
    for stage in ('stage1', 'stage2'):
        for word in words_of(stage):
            assert idea_of(CONFIGS / f'_base_/{stage}/{word}.py')[0], word
