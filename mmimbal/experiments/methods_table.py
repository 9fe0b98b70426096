"""A table of all methods, from their bases in configs/."""

import re
from collections.abc import Iterator
from pathlib import Path

from mmpretrain.registry import MODELS

from mmimbal.command_line.compose import compose
from mmimbal.command_line.experiment import BASES, Experiment, words_of
from mmimbal.models.heads import MetricLearningClsHead

PAPER = re.compile(r'\(?\b(arXiv:\d{4}\.\d{4,5}|(?:ICLR|CVPR|ICCV|NeurIPS) \d{4})\)?')
HEADER = ('word', 'idea', 'paper', 'needs', 'Mixup')
TITLE = """# Methods

This page is written by `tools/methods.py` from the files in `configs/_base_/stage1/`
and `configs/_base_/stage2/`. Do not edit it by hand. A word is a part of the name of an
experiment, such as `isic2018/64px/triplet/crt`. Mixup: whether it can be combined with
`batch_augments`.

All of them on Digits-LT, in minutes (a smoke test, not evidence;
[its page](methods_digits.md)):

```bash
python tools/benchmark.py configs/grids/methods.py \\
    --results work_dirs/methods_digits/results --page docs/methods_digits.md
```
"""


def methods_page() -> str:
    """Return the page, in Markdown."""
    parts = [TITLE]
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
        idea, papers = idea_of(BASES / stage / f'{word}.py')
        mixup = mixes(cfg) if stage == 'stage1' else '-'  # stage 2 has features
        yield f'`{word}`', idea, ', '.join(papers) or '-', needs(cfg), mixup


def idea_of(base: Path) -> tuple[str, list[str]]:
    """Return the first sentence of the comment of a base, and the papers it names."""
    comment = []
    for line in base.read_text(encoding='utf-8').splitlines():
        if not line.startswith('#'):
            break
        comment.append(line.removeprefix('#').strip())
    text = ' '.join(comment)
    papers = list(dict.fromkeys(PAPER.findall(text)))
    text = re.sub(r'\s*\((?:[^()]*\b(?:arXiv:|ICLR|CVPR)[^()]*)\)', '', text)
    return re.split(r'(?<=[.;:])\s', text)[0].rstrip('.;:'), papers


def needs(cfg) -> str:
    """Return what a method needs of data: views, batches, class counts."""
    found = []
    loader = cfg.train_dataloader
    kinds = {step.type for step in loader.dataset.pipeline}
    if kinds & {'MultiView', 'mmimbal.ViewsByLoss'}:
        found.append('views')
    if loader.get('batch_sampler'):
        found.append('P x K batches')
    if loader.sampler.type == 'mmimbal.ClassBalancedSampler':
        found.append('class-balanced sampler')
    parts = [cfg.model.head, cfg.model.get('train_cfg')]
    if any(hasattr(each, 'set_class_counts') for each in types_in(parts)):
        found.append('class counts')
    return ', '.join(found) or '-'


def mixes(cfg) -> str:
    """Return whether a method can be trained with mixed images."""
    head = MODELS.get(cfg.model.head.type)
    if issubclass(head, MetricLearningClsHead):
        return 'cross-entropy' if cfg.model.head.get('separate_views') else 'no'
    loss = (cfg.model.head.get('loss') or {}).get('type', 'CrossEntropyLoss')
    takes = getattr(MODELS.get(loss), 'takes_mixtures', True)
    return 'yes' if takes and hasattr(head, 'loss') else 'no'


def types_in(part: object) -> Iterator[type]:
    """Yield the registered classes that a part of a config names."""
    if isinstance(part, dict):
        name = part.get('type')
        if isinstance(name, str) and (found := MODELS.get(name)):
            yield found
        part = list(part.values())
    if isinstance(part, list | tuple):
        for each in part:
            yield from types_in(each)
