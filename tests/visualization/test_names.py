from xml.etree import ElementTree

import pytest

from mmimbal.visualization.names import (
    columns_of,
    legend_name,
    plain,
    plain_names,
    wrapped,
)


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('melanoma', 'melanoma'),
        ('$5_a^b \\frac{1', '$5_a^b \\frac{1'),  # left to the figure
        (' a\n\tb\r\n', 'a b'),
        ('a\x00b\x1b[1m\x85c\u2028d', 'a b [1m c d'),
        ('\u202eabc\u2066d\ufeff', 'abcd'),  # direction marks
        ('می\u200cخواهم', 'می\u200cخواهم'),
        ('e\u0301', 'e\u0301'),
        ('a\ud800\uffffb', 'a\ufffd\ufffdb'),
        ('黑色素瘤', '黑色素瘤'),
    ],
)
def test_a_name_is_one_line_of_text(name, expected):
    assert plain(name) == expected
    assert ElementTree.fromstring(f'<a>{plain(name)}</a>').text == expected


def test_long_names_lose_their_middle():
    assert plain('0123456789', 10) == '0123456789'
    assert plain('0123456789', 9) == '0123…6789'
    assert plain('黑色素瘤黑色素瘤', 9) == '黑色…素瘤'
    assert plain('x' * 300) == f'{"x" * 19}…{"x" * 19}'
    assert columns_of('黑a') == 3 and columns_of('e\u0301') == 1


def test_names_stay_different():
    long = [f'{"a" * 30}{n}{"b" * 30}' for n in range(3)]
    assert len({plain(name) for name in long}) == 1
    assert plain_names(long) == long
    assert plain_names([*long[:1], 'c']) == [plain(long[0]), 'c']
    assert plain_names(['a', 'a\n']) == ['a', 'a'] and plain_names([]) == []


def test_names_that_a_legend_would_hide():
    assert legend_name('_a').strip() == '_a' and not legend_name('_a').startswith('_')
    assert legend_name('a_') == 'a_'


def test_a_long_name_has_several_lines():
    assert wrapped('a finding of the skin', 10) == 'a finding\nof the\nskin'
    assert wrapped('a finding', 30) == 'a finding'
    assert wrapped('abcdefgh (3)', 4) == 'abcd\nefgh\n(3)'
    assert wrapped('黑色素瘤', 4) == '黑色\n素瘤'
