"""Figures whose texts may hold any name."""

import logging
import unicodedata
import warnings
from collections.abc import Collection, Iterable

import matplotlib as mpl
from matplotlib import figure
from matplotlib.font_manager import FontEntry, FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from mmengine.logging import print_log

OWN_FORMULAS = ('$\\mathdefault', '$\\times')  # numbers that matplotlib writes
LAST_RESORT = 'Last Resort High-Efficiency'  # a box for any character
NO_GLYPH = ('Cc', 'Cf', 'Zs', 'Mn')  # or none is needed
MAX_SHOWN = 20  # characters


class Figure(figure.Figure):
    """A figure whose names are text: ``$`` begins no formula, and letters have fonts.

    Arguments are those of matplotlib's figure.
    """

    def savefig(self, *args, **kwargs) -> None:
        """Save the figure; say it if no font has some characters.

        In SVG, the browser chooses fonts.
        """
        unknown = prepare_texts(self)
        if unknown and kwargs.get('format') != 'svg':
            shown = ' '.join(sorted(unknown)[:MAX_SHOWN])
            print_log(
                f'no installed font has {len(unknown)} characters of names, which are '
                f'boxes in the picture: {shown}. Install one that has them, such as '
                'Noto Sans',
                'current',
                logging.WARNING,
            )
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', 'Glyph .* missing')  # one for each
            super().savefig(*args, **kwargs)


def prepare_texts(drawn: figure.Figure) -> set[str]:
    """Make all texts of a figure plain, and choose fonts that have their characters.

    Returns:
        The characters that no installed font has.
    """
    texts = [text for text in drawn.findobj(Text) if text.get_text()]
    for text in texts:
        if not text.get_text().startswith(OWN_FORMULAS):
            text.set_parse_math(False)
    usual = glyphs_of(findfont(FontProperties()))
    missing = {
        character
        for text in texts
        for character in text.get_text()
        if ord(character) not in usual
        and unicodedata.category(character) not in NO_GLYPH
    }
    if not missing:
        return set()
    families, unknown = choose_fonts(missing, fontManager.ttflist)
    if LAST_RESORT in fontManager.get_font_names():
        families.append(LAST_RESORT)
    for text in texts:
        if missing & set(text.get_text()):
            text.set_fontfamily([*mpl.rcParams['font.family'], *families])
    return unknown


def choose_fonts(
    characters: set[str], fonts: Iterable[FontEntry]
) -> tuple[list[str], set[str]]:
    """Choose few fonts that together have characters, the most useful one first.

    Args:
        characters: The characters.
        fonts: The installed fonts.

    Returns:
        Names of the chosen fonts, and the characters that none of them has.
    """
    has: dict[str, set[str]] = {}
    for font in sorted(fonts, key=_unlike_text):
        if font.name != LAST_RESORT and font.name not in has:
            glyphs = glyphs_of(font.fname)
            has[font.name] = {each for each in characters if ord(each) in glyphs}
    chosen, left = [], set(characters)
    while left and has:
        best = max(has, key=lambda name: len(has[name] & left))
        if not has[best] & left:
            break
        chosen.append(best)
        left -= has[best]
    return chosen, left


def glyphs_of(file: str) -> Collection[int]:
    """Return the code points of a font; none if it cannot be read."""
    try:
        return FT2Font(file).get_charmap()
    except (OSError, RuntimeError):  # deleted, or of a kind that FreeType cannot read
        return ()


def _unlike_text(font: FontEntry) -> tuple:
    """Sort plain fonts first: upright ones of normal weight, without serifs."""
    is_sans = 'sans' in font.name.lower() and 'mono' not in font.name.lower()
    return font.style != 'normal', str(font.weight) != '400', not is_sans, font.name
