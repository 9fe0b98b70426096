"""Draw figures as SVG for an HTML page."""

import io
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from mmimbal.visualization.figure import prepare_texts

INK = '#010203'  # placeholder for the text colour of the page
SMALLEST_SCALE = 0.72  # how much a figure may shrink on a narrow screen


@dataclass(frozen=True)
class Picture:
    """A figure on a page: its caption, as text, and its SVG element."""

    caption: str
    svg: Markup


def picture(caption: str, draw: Callable[..., Figure], *arguments) -> Picture:
    """Call a function that draws a figure, and return it as SVG.

    Text and axes have the text colour of the page. Names in the figure may come from
    data; matplotlib escapes them, so the SVG is safe to insert into the page.

    Args:
        caption: Text above the figure.
        draw: Function that returns the figure.
        arguments: Arguments of this function.
    """
    ink = ('text.color', 'axes.labelcolor', 'axes.edgecolor', 'xtick.color')
    style = dict.fromkeys((*ink, 'ytick.color'), INK) | {
        'svg.fonttype': 'none',
        'svg.hashsalt': 'mmimbal',
    }
    content = io.StringIO()
    with mpl.rc_context(style):
        figure = draw(*arguments)
        prepare_texts(figure)  # of any figure
        figure.savefig(content, format='svg', transparent=True, metadata={'Date': None})
    svg = content.getvalue()
    svg = _in_tags(
        svg[svg.index('<svg') :], lambda tag: tag.replace(INK, 'currentColor')
    )
    svg = _with_smallest_width(svg)
    return Picture(caption, Markup(_with_unique_ids(svg, caption)))


def _with_smallest_width(svg: str) -> str:
    """Set a minimum width: a narrow screen scrolls, so that text stays readable."""
    points = float(re.search(r'width="([\d.]+)pt"', svg)[1])
    style = f'style="min-width:{SMALLEST_SCALE * points:.0f}pt"'
    return svg.replace('<svg', f'<svg {style}', 1)


def _with_unique_ids(svg: str, caption: str) -> str:
    """Make ids unique among all figures of the page."""
    prefix = f'f{zlib.crc32(f"{caption} {svg}".encode()):x}'

    def rename(tag: str) -> str:
        tag = re.sub(r'\bid="', f'id="{prefix}-', tag)
        return re.sub(r'(href="|url\()#', rf'\1#{prefix}-', tag)

    return _in_tags(svg, rename)


def _in_tags(svg: str, change: Callable[[str], str]) -> str:
    """Change the tags of an SVG, and no text between them, which may be a name."""
    return re.sub(r'<[^>]*>', lambda tag: change(tag[0]), svg)
