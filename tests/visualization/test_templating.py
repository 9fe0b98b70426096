import sys

import pytest
from jinja2 import TemplateNotFound, UndefinedError
from markupsafe import Markup

from mmimbal.visualization.templating import render


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with the same template as HTML and as Markdown."""
    folder = tmp_path / 'some_pages'
    (folder / 'templates').mkdir(parents=True)
    (folder / '__init__.py').touch()
    for name in ('page.html', 'page.md'):
        (folder / 'templates' / name).write_text(
            '{% if text %}\n{{ text }}!\n{% endif %}\n'
        )
    monkeypatch.syspath_prepend(tmp_path)
    yield 'some_pages'
    sys.modules.pop('some_pages', None)


def test_values_are_text_in_html_and_as_they_are_in_markdown(package):
    assert render(package, 'page.html', text='<b> & "') == '&lt;b&gt; &amp; &#34;!\n'
    assert render(package, 'page.html', text=Markup('<b>')) == '<b>!\n'
    assert render(package, 'page.md', text='<b> & "') == '<b> & "!\n'


def test_a_value_that_lacks_is_an_error(package):
    with pytest.raises(UndefinedError, match="'text' is undefined"):
        render(package, 'page.md')
    with pytest.raises(TemplateNotFound, match=r'other\.md'):
        render(package, 'other.md')
