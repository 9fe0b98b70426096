"""Findings about single images that training can read."""

from collections.abc import Callable, Sequence

import numpy as np

from mmimbal.datasets.checking.finding import Finding, findings_of
from mmimbal.datasets.checking.image_facts import ImageFacts
from mmimbal.datasets.image_values import how_to_map, number

LITTLE = 16  # of 256 values: what spans fewer has almost no contrast
SEEN_DIFFERENTLY = ('CMYK', 'LAB', 'HSV')  # modes; decoders disagree about colours

Decoded = Sequence[tuple[str, ImageFacts]]


def unusual(files: Sequence[str], facts: Sequence[ImageFacts]) -> list[Finding]:
    """Find images that differ from what training expects, or from the others."""
    decoded = [
        (file, fact) for file, fact in zip(files, facts, strict=True) if not fact.error
    ]
    if not decoded:
        return []

    def find(what: str, case: Callable[[ImageFacts], object]) -> list[Finding]:
        """Report the images with a case: a text, or whether there is one."""
        found = [(file, case(fact)) for file, fact in decoded]
        cases = [
            file if said is True else f'{file} {said}' for file, said in found if said
        ]
        return findings_of('warning', what, cases)

    return [
        *_sizes(decoded),
        *_deep(decoded),
        *find('images that are not 8-bit RGB', _other_mode),
        *find(
            'images whose colours depend on the decoder: save them as RGB',
            lambda f: f.header.mode if f.header.mode in SEEN_DIFFERENTLY else '',
        ),
        *find(
            'images with transparency, which training leaves out: hidden colours are '
            'seen',
            lambda f: f.values.is_transparent,
        ),
        *find(
            'images with several pages or frames, of which training uses the first',
            lambda f: str(f.header.frames) if f.header.frames > 1 else '',
        ),
        *find('images that are all one value', _only_value),
        *find(
            f'images with almost no contrast: fewer than {LITTLE} of 256 values',
            _narrow_range,
        ),
        *find(
            'images with a rotation in EXIF, which training applies',
            lambda f: f.header.is_rotated,
        ),
        *find('JPEG files without an end: what is missing is gray', lambda f: f.is_cut),
        *find(
            'JPEG or TIFF files with missing or wrong parts',
            lambda f: f.damage and not f.is_cut and f'({f.damage})',
        ),
    ]


def _sizes(decoded: Decoded) -> list[Finding]:
    areas = np.array([fact.size[0] * fact.size[1] for _, fact in decoded])
    ratios = np.array([fact.size[0] / fact.size[1] for _, fact in decoded])
    small = areas < np.median(areas) / 16
    narrow = np.abs(np.log(ratios / np.median(ratios))) > np.log(3)
    sizes = [f'{file} {fact.size[0]}x{fact.size[1]}' for file, fact in decoded]
    return findings_of(
        'warning',
        'images far smaller or narrower than the others',
        [sizes[n] for n in np.flatnonzero(small | narrow)],
    )


def _deep(decoded: Decoded) -> list[Finding]:
    """Find images of more than 8 bits, for each type of values.

    The used bits are those of the highest value of all images.
    """
    findings = []
    for kind in sorted({fact.values.type for _, fact in decoded} - {'uint8'}):
        of_kind = [(f, fact.values) for f, fact in decoded if fact.values.type == kind]
        low = min(values.low for _, values in of_kind)
        high = max(values.high for _, values in of_kind)
        mean = np.mean([values.shown_mean for _, values in of_kind])
        bits = int(high).bit_length()
        what = f'images of {kind} values from {number(low)} to {number(high)}'
        if kind == 'uint16' and bits == 16:
            what += ', of which training uses the upper 8 bits'
        else:
            if kind == 'uint16':
                what += f', {bits} of 16 bits'
            what += f': training sees a mean of {mean:.0f} of 255. '
            what += how_to_map(kind, low, high)
        cases = [
            f'{file} {number(v.low)} to {number(v.high)}, in training {v.shown_low} to '
            f'{v.shown_high}'
            for file, v in of_kind
        ]
        findings += findings_of('warning', what, cases)
    return findings


def _other_mode(fact: ImageFacts) -> str:
    mode = fact.header.mode
    is_reported = mode in SEEN_DIFFERENTLY or fact.values.type != 'uint8'
    return '' if mode == 'RGB' or is_reported else mode


def _only_value(fact: ImageFacts) -> str:
    values = fact.values
    return str(values.shown_low) if values.shown_low == values.shown_high else ''


def _narrow_range(fact: ImageFacts) -> str:
    low, high = fact.values.shown_low, fact.values.shown_high
    is_narrow = fact.values.type == 'uint8' and 0 < high - low < LITTLE
    return f'{low} to {high}' if is_narrow else ''
