"""Numbers of flags: what is refused, and that all tools refuse it."""

import re
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from mmimbal.command_line.flag_types import at_least

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(('smallest', 'text'), [(1, '1'), (0, '0'), (2, '17')])
def test_a_number_from_the_bound_on_is_taken(smallest, text):
    assert at_least(smallest)(text) == int(text)


@pytest.mark.parametrize('text', ['0', '-1', 'two', '', '1.5'])
def test_other_text_is_refused(text):
    with pytest.raises(ArgumentTypeError, match='not a whole number of at least 1'):
        at_least(1)(text)


def test_every_whole_number_of_a_tool_has_a_bound():
    files = [*ROOT.glob('tools/*.py'), ROOT / 'mmimbal/command_line/flags.py']
    flags = [line for file in files for line in file.read_text().splitlines()]
    unbounded = [line for line in flags if re.search(r'type=int\b', line)]
    # The launchers of torch and MMPretrain set the local rank.
    assert [line for line in unbounded if 'local_rank' not in line] == []
