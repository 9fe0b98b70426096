"""Checkpoints hold plain data, and nothing of it is changed."""

from collections import OrderedDict
from enum import IntEnum

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer

from mmimbal.files.checkpoint import load_from_local
from mmimbal.files.plain_content import plain_content
from mmimbal.files.save_checkpoint import save_checkpoint_file


class Kind(IntEnum):
    A = 1


PLAIN = dict(
    numbers=[1, 2.5, True, None],
    names=('a', b'b'),
    ordered=OrderedDict(x=1),
    tensor=torch.arange(3),
    array=np.arange(3.0),
    scalar=np.float64(2.0),
)


def test_plain_data_stays():
    found = plain_content(PLAIN)
    assert list(found) == list(PLAIN) and type(found['ordered']) is OrderedDict
    assert found['names'] == PLAIN['names'] and found['numbers'] == PLAIN['numbers']
    assert found['tensor'] is PLAIN['tensor'] and found['array'] is PLAIN['array']
    log = HistoryBuffer([1.0], [1])
    assert plain_content(dict(log=log))['log'] is log


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        (ConfigDict(a=ConfigDict(b=[1, 2])), dict(a=dict(b=[1, 2]))),
        (dict(anneal=test_plain_data_stays, step=3), dict(step=3)),
        ([int], [repr(int)]),
        (dict(names=np.array(['a', 'b'])), dict(names=['a', 'b'])),
        (dict(name=np.str_('a')), dict(name='a')),
        (dict(small=np.float16(0.5)), dict(small=0.5)),
        (dict(image=np.zeros(2, 'u1')), dict(image=[0, 0])),
        (dict(kind=Kind.A), dict(kind=1)),
    ],
)
def test_what_is_not_plain_becomes_so(content, expected, tmp_path):
    found = plain_content(content)
    assert found == expected and type(found) is type(expected)
    save_checkpoint_file(dict(content=found), tmp_path / 'x.pth')
    assert load_from_local(tmp_path / 'x.pth')['content'] == expected
