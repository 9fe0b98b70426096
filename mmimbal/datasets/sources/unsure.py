"""Sentences about what an index may mean: to be read before its data set is used."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

import pyarrow as pa

from mmimbal.datasets.spelling import is_unknown, split_of

MOST_RELATED = 20  # images of one patient; more have a common name by chance
ENDING = re.compile(
    r'[ _-](l|r|od|os|left|right|copy|(aug|rot|flip)\w*)$| ?\(\d+\)$', re.IGNORECASE
)


def combinations(classes: Sequence[str]) -> list[str]:
    """Describe labels that seem to be several labels, such as ``A|B``."""
    known = set(classes)
    several = [
        name
        for name in classes
        if '|' in name
        or (
            len(parts := set(re.split(r"[\s,;/+\[\]'\"&]+", name)) - {''}) > 1
            and parts <= known
        )
    ]
    if not several:
        return []
    return [
        f'labels such as {several[0]!r} seem to name several classes: each combination '
        'is a class of its own'
    ]


def overlooked_splits(table: pa.Table, others: Sequence[str]) -> list[str]:
    """Describe what looks like a split but is not the column ``split``."""
    if 'split' in table.column_names:
        return []
    sentences = []
    for name in others:
        cells = set(table[name].to_pylist())
        if len(cells) > 1 and all(map(split_of, cells)):
            sentences.append(
                f'the column {name} has {", ".join(sorted(cells))}: call it split to '
                'keep this split'
            )
    levels = defaultdict(set)
    for file in table['file'].to_pylist():
        for level, folder in enumerate(PurePosixPath(file).parts[:-1]):
            levels[level].add(folder)
    for folders in levels.values():
        names = sorted(filter(split_of, folders))
        if len(set(map(split_of, names))) > 1:
            sentences.append(
                f'images are in folders {", ".join(names)}: add a column split to keep '
                'this split'
            )
    return sentences


def unknown_groups(groups: list[str]) -> list[str]:
    """Describe cells of the column ``group`` that say that nothing is known."""
    unknown = Counter(group for group in groups if is_unknown(group))
    if not unknown or (len(unknown) == len(set(groups)) == 1 and '' in unknown):
        return []
    cells = ', '.join(f'{word!r} {count}' for word, count in unknown.most_common())
    return [
        f'the group of {unknown.total()} of {len(groups)} images is unknown ({cells}): '
        'each is a group of its own'
    ]


def related_names(names: Sequence[str]) -> list[str]:
    """Describe names that differ only at the end, such as ``p1_left`` and ``p1_right``.

    They may be views of one patient, or copies of one image.
    """
    stems: dict[str, list[str]] = defaultdict(list)
    for name in names:
        path = PurePosixPath(name)
        stems[ENDING.sub('', str(path.with_suffix('')))].append(path.name)
    related = [found for found in stems.values() if 1 < len(found) <= MOST_RELATED]
    number = sum(map(len, related))
    if len(related) < 2 or number < len(names) / 10:
        return []
    return [
        f'{number} of {len(names)} images have names that differ only at the end, such '
        f'as {related[0][0]} and {related[0][1]}. If they are of one patient, or '
        'copies of one image, write an index.csv with a column group'
    ]
