"""A table of all methods, from their bases in configs/."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config
from mmpretrain.registry import MODELS
from torch import nn

from mmimbal.command_line.compose import compose
from mmimbal.command_line.experiment import BASES, Experiment, load_base, words_of
from mmimbal.models.heads import MetricLearningClsHead
from mmimbal.models.needs import IMAGES, ONE_LABEL, SEPARATE_VIEWS, VIEWS, needs_of

PAPER = r'arXiv:\d{4}\.\d{4,5}|(?:ICLR|CVPR|ECCV|IEEE TIM) \d{4}'
SIBLING = re.compile(r"'(\w+\.py)'")  # in _base_ of a base
SAID_OTHERWISE = (IMAGES, ONE_LABEL, SEPARATE_VIEWS)
HEADER = ('word', 'idea', 'paper', 'needs', 'Mixup', "differs from the authors' code")
TITLE = """# Methods

This page is written by `tools/methods.py` from the files in `configs/_base_/stage1/`
and `configs/_base_/stage2/`. Do not edit it by hand. A word is a part of the name of an
experiment, such as `isic2018/64px/triplet/crt`, and links to its base. Mixup: whether
it can be combined with `batch_augments`. All metric losses are trained beside
cross-entropy, as in arXiv:2207.06975. The last column has the differences that we know
of; all methods of stage 2 are trained on frozen features. A sweep has these only
if `--methods` names them: {by_name}.

All of them on Digits-LT, with a page of results: a smoke test, not evidence.

```bash
python tools/benchmark.py configs/grids/methods.py \\
    --results work_dirs/methods/results --page work_dirs/methods/page.md
```
"""


def methods_page() -> str:
    """Return the page, in Markdown."""
    by_name = (
        f'`{word}`'
        for word in words_of('stage2')
        if load_base(f'stage2/{word}').get('by_name_only')
    )
    parts = [TITLE.replace('{by_name}', ', '.join(by_name))]
    for stage in ('stage1', 'stage2'):
        parts.append(f'## {"Stage 1" if stage == "stage1" else "Stage 2"}\n')
        parts.append(f'| {" | ".join(HEADER)} |\n|{"---|" * len(HEADER)}')
        rows = (f'| {" | ".join(row)} |' for row in methods_of(stage))
        parts.append('\n'.join(rows) + '\n')
    return '\n'.join(parts)


def methods_of(stage: str) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each method of a stage, as in :data:`HEADER`."""
    for word in words_of(stage):
        stages = ('triplet', word) if stage == 'stage2' else (word, None)
        cfg = compose(Experiment('isic2018', '64px', *stages))
        base = BASES / stage / f'{word}.py'
        head = MODELS.build(cfg.model.head)
        yield (
            f'[`{word}`](../configs/_base_/{stage}/{word}.py)',
            idea_of(base),
            ', '.join(papers_of(base)) or '-',
            needs(cfg, head),
            mixes(head) if stage == 'stage1' else '-',  # stage 2 has features
            difference_of(base),
        )


def comment_of(base: Path) -> list[str]:
    """Return the lines of the comment that a base begins with."""
    lines = base.read_text(encoding='utf-8').splitlines()
    comment = itertools.takewhile(lambda line: line.startswith('#'), lines)
    return [line.removeprefix('#').strip() for line in comment]


def idea_of(base: Path) -> str:
    """Return the first sentence of the comment of a base, without papers."""
    text = re.sub(rf'\s*\([^()]*(?:{PAPER})[^()]*\)', '', ' '.join(comment_of(base)))
    return re.split(r'(?<=\.)\s', text)[0].rstrip('.')


def papers_of(base: Path) -> list[str]:
    """Return the papers that a base names, then those of the bases below it."""
    papers = re.findall(PAPER, ' '.join(comment_of(base)))
    for line in base.read_text(encoding='utf-8').splitlines():
        if line.startswith('_base_'):
            for name in SIBLING.findall(line):
                papers += papers_of(base.with_name(name))
    return list(dict.fromkeys(papers))


def difference_of(base: Path) -> str:
    """Return what a base says after ``Differs:``, or ``-``."""
    _, _, found = ' '.join(comment_of(base)).partition('Differs: ')
    return found.rstrip('.') or '-'


def needs(cfg: Config, head: nn.Module) -> str:
    """Return what a method needs of data, hooks and stage 1."""
    found = []
    loader = cfg.train_dataloader
    kinds = {step.type for step in loader.dataset.pipeline}
    if kinds & {'MultiView', 'mmimbal.ViewsByLoss'}:
        found.append(VIEWS)
    if loader.get('batch_sampler'):
        found.append('P x K batches')
    if loader.sampler.type == 'mmimbal.ClassBalancedSampler':
        found.append('class-balanced sampler')
    found += [need for need in needs_of(head) if need not in SAID_OTHERWISE]
    return ', '.join(dict.fromkeys(found)) or '-'


def mixes(head: nn.Module) -> str:
    """Return whether a head can be trained with mixed images."""
    if ONE_LABEL in needs_of(head):
        return 'no'
    return 'cross-entropy' if isinstance(head, MetricLearningClsHead) else 'yes'
