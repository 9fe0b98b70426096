"""Figures as SVG inside an HTML page."""

import io
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

INK = '#010203'  # drawn with this, then replaced by the colour of the page's text
SMALLEST_SCALE = 0.72  # to which a figure may shrink on a narrow screen


@dataclass(frozen=True)
class Picture:
    """A figure on a page: its caption, as text, and its SVG element."""

    caption: str
    svg: Markup


def picture(caption: str, draw: Callable[..., Figure], *arguments) -> Picture:
    """Return the figure that a function draws.

    Text and axes have the colour of the page's text. Names in the figure may come from
    data: matplotlib escapes them, so that the SVG is safe to insert.

    Args:
        caption: Shown above the figure.
        draw: Returns the figure.
        arguments: Of that function.
    """
    ink = ('text.color', 'axes.labelcolor', 'axes.edgecolor', 'xtick.color')
    style = dict.fromkeys((*ink, 'ytick.color'), INK) | {
        'text.parse_math': False,  # a $ in a name is a $
        'svg.fonttype': 'none',
        'svg.hashsalt': 'mmimbal',
    }
    content = io.StringIO()
    with mpl.rc_context(style):
        figure = draw(*arguments)
        figure.savefig(content, format='svg', transparent=True, metadata={'Date': None})
    svg = content.getvalue()
    svg = svg[svg.index('<svg') :].replace(INK, 'currentColor')
    svg = _with_smallest_width(svg)
    return Picture(caption, Markup(_with_own_ids(svg, caption)))


def _with_smallest_width(svg: str) -> str:
    """Let a narrow screen scroll the figure, rather than make its text unreadable."""
    points = float(re.search(r'width="([\d.]+)pt"', svg)[1])
    style = f'style="min-width:{SMALLEST_SCALE * points:.0f}pt"'
    return svg.replace('<svg', f'<svg {style}', 1)


def _with_own_ids(svg: str, caption: str) -> str:
    """Make ids differ from those of the other figures on the page."""
    prefix = f'f{zlib.crc32(f"{caption} {svg}".encode()):x}'
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    return re.sub(r'(href="|url\()#', rf'\1#{prefix}-', svg)
