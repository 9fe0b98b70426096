"""A page that compares runs: one HTML file, without network or script."""

import io
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from html import escape

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from mmimbal.evaluation.bootstrap import (
    RESAMPLES,
    SHIFTED,
    caution,
    interval_of,
    resampled_metrics,
)
from mmimbal.evaluation.metrics import LOWER_IS_BETTER, NAMES, summarise
from mmimbal.evaluation.predictions import Predictions, same_images
from mmimbal.visualization import figures
from mmimbal.visualization.projection import method, project, subset
from mmimbal.visualization.recall_by_count import draw_recall_by_count

INK = '#010203'  # stands for the colour of the page's text
SMALLEST = 0.72  # of its own size, to which a figure shrinks
STYLE = """
:root { color-scheme: light dark; --line: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem;
  padding: 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .7rem;
  text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.ci { opacity: .65; font-size: .85em; }
.sure { font-weight: 600; }
.figures { display: flex; flex-wrap: wrap; gap: 1.5rem; }
.figures figure { flex: 1 1 22rem; }
figure { margin: 1rem 0; max-width: 100%; } figcaption { font-weight: 600; }
svg { height: auto; max-width: 100%; }
pre { overflow-x: auto; font-size: .8rem; }
@media print { body { max-width: none; } h2 { break-after: avoid; }
  figure, tr { break-inside: avoid; } .scroll { overflow: visible; }
  .figures { display: block; }
  svg { min-width: 0 !important; } table { font-size: .75em; }
  th, td { white-space: normal; } pre { overflow: visible; white-space: pre-wrap; }
  details::details-content { content-visibility: visible; display: block; } }
"""


def build_report(runs: Mapping[str, Predictions], resamples: int = RESAMPLES) -> str:
    """Return the page of one run or several.

    Args:
        runs: By name; the first is what others are compared with.
        resamples: Of the bootstrap over groups.

    Raises:
        ValueError: If the runs are not of the same images, or a class has no image.
    """
    same_images(runs)
    first = next(iter(runs.values()))
    counts = np.bincount(first.labels, minlength=len(first.classes))
    absent = [name for name, n in zip(first.classes, counts, strict=True) if not n]
    if absent:
        raise ValueError(
            f'no test image of class {", ".join(absent)}: metrics would not be those '
            'of all classes'
        )
    body = ''.join(_sections(runs, first, counts, resamples))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(" · ".join(runs))}</title>\n<style>{STYLE}</style></head>\n'
        f'<body>\n{body}</body></html>\n'
    )


def _sections(
    runs: Mapping[str, Predictions],
    first: Predictions,
    counts: np.ndarray,
    resamples: int,
) -> Iterator[str]:
    of = f'in {len(np.unique(first.groups))} groups'
    if np.array_equal(first.groups, first.files):
        of = 'each a group of its own'
    yield f'<h1>{escape(" · ".join(runs))}</h1>\n'
    yield (
        f'<p>{len(first.labels)} test images, {of}, {len(counts)} classes. In '
        f'brackets: 95% intervals from {resamples} resamples of groups.</p>\n'
    )
    few = caution(first.groups, first.labels, first.classes)
    if few:
        yield f'<p class="sure">{escape(few)}</p>\n'
    drawn = {name: resampled_metrics(run, resamples) for name, run in runs.items()}
    found = {
        name: summarise(run.scores, run.labels, run.classes)
        for name, run in runs.items()
    }
    yield '<h2>Metrics, %</h2>\n'
    yield _metrics_table(found, drawn)
    yield (
        f'<p>Noise moves {" and ".join(SHIFTED)} one way; their intervals reach as far '
        'to the other. The Brier score adds up squared errors of all classes: 0 to '
        '200.</p>\n'
    )
    if len(runs) > 1:
        yield f'<h2>Differences to {escape(next(iter(runs)))}</h2>\n'
        meaning = '; bold where the interval does not hold 0' * (not few)
        yield f'<p>Paired{meaning}.</p>\n'
        yield _differences_table(found, drawn, bold=not few)

    yield '<h2>Recall of each class</h2>\n'
    known = [run.class_counts for run in runs.values() if run.class_counts is not None]
    recalls = {
        name: np.array([[scores[f'recall/{c}'] for c in first.classes]])
        for name, scores in found.items()
    }
    against, images = (known[0], 'training') if known else (counts, 'test')
    caption = f'Recall against {images} images'
    if not known:
        caption += '; training counts are not known'
    yield _figure(
        lambda: draw_recall_by_count(recalls, against, first.classes, images), caption
    )

    yield '<h2>Confusion</h2>\n<div class="figures">'
    for name, run in runs.items():
        yield _figure(
            lambda run=run: figures.draw_confusion(run), f'{name}, % of class'
        )
    yield '</div>\n<h2>Calibration</h2>\n'
    yield _figure(lambda: figures.draw_reliability(runs), 'Reliability')
    yield '<h2>Ranking, each class against the rest</h2>\n<div class="figures">'
    yield _figure(lambda: figures.draw_roc(runs), 'ROC')
    yield _figure(lambda: figures.draw_precision_recall(runs), 'Precision and recall')
    yield '</div>\n'

    embedded = {n: run for n, run in runs.items() if run.embeddings is not None}
    if embedded:
        yield f'<h2>Embeddings of test images, by {method()}</h2>\n'
        yield '<div class="figures">'
        chosen = subset(len(first.labels))
        for name, run in embedded.items():
            part = Predictions(
                run.scores[chosen],
                run.labels[chosen],
                run.files[chosen],
                run.groups[chosen],
                run.classes,
            )
            places = project(run.embeddings[chosen])
            yield _figure(
                lambda places=places, part=part: figures.draw_embedding(places, part),
                name,
            )
        yield '</div>\n'

    curves = {name: _curves(run) for name, run in runs.items()}
    names = list(dict.fromkeys(name for found in curves.values() for name in found))
    if names:
        yield '<h2>Training, by epoch</h2>\n<div class="figures">'
        for name in names:
            values = {run: found.get(name, {}) for run, found in curves.items()}
            yield _figure(lambda values=values: figures.draw_training(values), name)
        yield '</div>\n'
    yield '<h2>Where this comes from</h2>\n'
    for name, run in runs.items():
        about = {k: v for k, v in run.about.items() if k not in ('curves', 'config')}
        yield f'<details><summary>{escape(name)}</summary>\n<pre>'
        yield ''.join(f'{escape(str(k))}: {escape(str(v))}\n' for k, v in about.items())
        yield f'\n{escape(str(run.about.get("config", "")))}</pre></details>\n'


def _metrics_table(found: Mapping, drawn: Mapping) -> str:
    header = ['metric', *found]
    rows = []
    for metric in NAMES:
        row = [_title(metric)]
        for name, scores in found.items():
            if metric in scores:
                values = 100 * drawn[name][metric]
                low, high = interval_of(metric, scores[metric], values)
                row.append(f'{scores[metric]:.1f} {_bounds(low, high)}')
            else:
                row.append('-')
        rows.append(row)
    return _table(header, rows)


def _differences_table(found: Mapping, drawn: Mapping, bold: bool) -> str:
    (first, base), *others = found.items()
    rows = []
    for metric in NAMES:
        row = [_title(metric)]
        for name, scores in others:
            if metric not in scores or metric not in base:
                row.append('-')
                continue
            gain = scores[metric] - base[metric]
            values = 100 * (drawn[name][metric] - drawn[first][metric])
            low, high = interval_of(metric, gain, values, difference=True)
            text = f'{gain:+.1f} {_bounds(low, high)}'
            sure = bold and (low > 0 or high < 0)
            row.append(f'<span class="sure">{text}</span>' if sure else text)
        rows.append(row)
    return _table(['metric', *(name for name, _ in others)], rows)


def _title(metric: str) -> str:
    return escape(metric + (' (less is better)' if metric in LOWER_IS_BETTER else ''))


def _bounds(low: float, high: float) -> str:
    return f'<span class="ci">[{low:.1f}, {high:.1f}]</span>'


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; cells are HTML, the header is text."""
    head = ''.join(f'<th>{escape(cell)}</th>' for cell in header)
    lines = ''.join(
        f'<tr>{"".join(f"<td>{cell}</td>" for cell in row)}</tr>\n' for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n'
        f'<tbody>{lines}</tbody></table></div>\n'
    )


def _figure(draw, caption: str) -> str:
    """Return a figure as SVG, its ink in the colour of the page's text."""
    ink = ('text.color', 'axes.labelcolor', 'axes.edgecolor', 'xtick.color')
    style = dict.fromkeys((*ink, 'ytick.color'), INK) | {
        'text.parse_math': False,  # names come from data
        'svg.fonttype': 'none',
        'svg.hashsalt': 'mmimbal',
    }
    with mpl.rc_context(style):
        figure: Figure = draw()
        content = io.StringIO()
        figure.savefig(content, format='svg', transparent=True, metadata={'Date': None})
    svg = content.getvalue()
    svg = svg[svg.index('<svg') :].replace(INK, 'currentColor')
    # Scrolled rather than shrunk on a phone, so that its text can be read.
    points = float(re.search(r'width="([\d.]+)pt"', svg)[1])
    svg = svg.replace('<svg', f'<svg style="min-width:{SMALLEST * points:.0f}pt"', 1)
    # Ids are of one figure; on the page they must not meet.
    prefix = f'f{zlib.crc32(f"{caption} {svg}".encode()):x}'
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(href="|url\()#', rf'\1#{prefix}-', svg)
    text = escape(caption)
    return (
        f'<figure role="img" aria-label="{text}"><figcaption>{text}</figcaption>\n'
        f'<div class="scroll">{svg}</div></figure>\n'
    )


def _curves(run: Predictions) -> dict[str, dict[int, float]]:
    """Return the curves kept beside predictions; JSON has made text of epochs."""
    return {
        name: {int(epoch): value for epoch, value in found.items()}
        for name, found in run.about.get('curves', {}).items()
    }
