"""Whether a dataset is what it says, and whether its splits are apart."""

import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from mmimbal.datasets.checking.check_result import hash_of
from mmimbal.datasets.checking.duplicates import (
    identical,
    identical_across,
    near_across,
    near_duplicates,
)
from mmimbal.datasets.checking.finding import Finding, findings_of
from mmimbal.datasets.checking.image_facts import Facts, look
from mmimbal.datasets.index_file import (
    check_paths,
    encode_labels,
    missing_files,
    read_classes,
    read_index,
    require_columns,
)
from mmimbal.datasets.splits import straddling_groups

TINY = 10  # images of a class in a split


def check_dataset(
    root: Path, processes: int | None = None, split_column: str | None = None
) -> dict:
    """Check a folder with an ``index.csv``, and each of its columns of splits.

    Near duplicates are images in two splits whose perceptual hashes (DCT of the image
    at 32 x 32) differ in at most 2 of 64 bits; turned or mirrored ones are not found.

    Args:
        root: The folder.
        processes: That decode images; one per core if ``None``.
        split_column: The only column of splits to look at; if ``None``, ``split`` and
            those of cross-validation, ``fold0``, ``fold1``, ...

    Returns:
        ``index`` (hash of the index), ``split_columns``, ``classes``, ``counts`` (of
        each split of the first column, (K,)), ``images``, ``findings``, a list of
        :class:`Finding` as dicts, and ``errors``, how many of those are errors.

    Raises:
        FileNotFoundError: If there is no index.
        ValueError: If the index itself is broken, or a label is no class.
    """
    index = root / 'index.csv'
    table = read_index(index)
    check_paths(table, index)
    classes = read_classes(index, table)
    labels = encode_labels(table, classes, index)
    files = table['file'].to_pylist()
    columns = _split_columns(table, split_column, index)
    groups = table['group'].to_pylist() if 'group' in table.column_names else files
    groups = [group or file for group, file in zip(groups, files, strict=True)]
    missing = set(missing_files(table, index))
    facts = list(look(root, files, missing, processes))
    findings = [*_broken(files, missing, facts), *_odd(files, facts)]
    findings += identical(files, labels, facts)
    pairs = near_duplicates(np.stack(list(columns.values()), 1), facts)
    for column, splits in columns.items():
        of_column = [
            *_counts(labels, splits, classes),
            *_straddling(groups, splits),
            *identical_across(files, splits, facts),
            *near_across(files, splits, pairs),
            *_in_no_split(files, splits),
        ]
        if column != next(iter(columns)):
            of_column = [replace(f, what=f'{f.what} ({column})') for f in of_column]
        findings += of_column
    findings.sort(key=lambda finding: finding.level)
    splits = next(iter(columns.values()))
    return dict(
        index=hash_of(index),
        split_columns=list(columns),
        classes=list(classes),
        counts={
            str(split): np.bincount(
                labels[splits == split], minlength=len(classes)
            ).tolist()
            for split in _ordered(splits)
        },
        images=len(files),
        errors=sum(finding.level == 'error' for finding in findings),
        findings=[asdict(finding) for finding in findings],
    )


def _split_columns(
    table: pa.Table, chosen: str | None, index: Path
) -> dict[str, np.ndarray]:
    """Return the splits of each image, (N,), by column; none is one without a name."""
    if chosen:
        require_columns(table.column_names, (chosen,), index)
        names = [chosen]
    else:
        names = [
            name
            for name in table.column_names
            if name == 'split' or re.fullmatch(r'fold\d+', name)
        ]
        names.sort(key=lambda name: (name != 'split', name))
    if not names:
        return {'split': np.full(len(table), '')}
    return {name: np.array(table[name].to_pylist()) for name in names}


def _broken(files: list[str], missing: set[str], facts: list[Facts]) -> list[Finding]:
    undecodable = [
        f'{file} ({fact.error})'
        for file, fact in zip(files, facts, strict=True)
        if fact.error and file not in missing
    ]
    return [
        *findings_of('error', 'missing images', sorted(missing)),
        *findings_of('error', 'images that cannot be decoded', undecodable),
    ]


def _counts(
    labels: np.ndarray, splits: np.ndarray, classes: tuple[str, ...]
) -> list[Finding]:
    findings = []
    for split in _ordered(splits):
        counts = np.bincount(labels[splits == split], minlength=len(classes))
        where = f' in {split}' if split else ''
        empty = [name for name, n in zip(classes, counts, strict=True) if not n]
        tiny = [
            f'{name} {n}'
            for name, n in zip(classes, counts, strict=True)
            if 0 < n < TINY
        ]
        level = 'error' if split in ('', 'train') else 'warning'
        findings += findings_of(level, f'classes without images{where}', empty)
        findings += findings_of(
            'warning', f'classes of fewer than {TINY} images{where}', tiny
        )
    return findings


def _straddling(groups: list[str], splits: np.ndarray) -> list[Finding]:
    named = np.flatnonzero(splits != '')
    found = straddling_groups([groups[n] for n in named], splits[named])
    return findings_of(
        'error',
        'groups in more than one split',
        [f'{group} ({", ".join(names)})' for group, names in found.items()],
    )


def _in_no_split(files: list[str], splits: np.ndarray) -> list[Finding]:
    left_out = np.flatnonzero(splits == '')
    if len(left_out) == len(files):  # a dataset without splits
        return []
    return findings_of('warning', 'images in no split', [files[n] for n in left_out])


def _odd(files: list[str], facts: list[Facts]) -> list[Finding]:
    seen = [
        (file, fact) for file, fact in zip(files, facts, strict=True) if not fact.error
    ]
    if not seen:
        return []
    areas = np.array([fact.size[0] * fact.size[1] for _, fact in seen])
    ratios = np.array([fact.size[0] / fact.size[1] for _, fact in seen])
    small = areas < np.median(areas) / 16
    slim = np.abs(np.log(ratios / np.median(ratios))) > np.log(3)
    sizes = [f'{file} {fact.size[0]}x{fact.size[1]}' for file, fact in seen]
    return [
        *findings_of(
            'warning',
            'images far smaller or slimmer than the others',
            [sizes[n] for n in np.flatnonzero(small | slim)],
        ),
        *findings_of(
            'warning',
            'images that are not 8-bit RGB',
            [f'{file} {fact.kind}' for file, fact in seen if fact.kind != 'RGB'],
        ),
        *findings_of(
            'warning',
            'images that EXIF says to turn',
            [file for file, fact in seen if fact.turned],
        ),
    ]


def _ordered(splits: np.ndarray) -> list[str]:
    """Return the names of the splits, train, val and test first; '' if none has one."""
    usual = ('train', 'val', 'test')
    found = set(splits.tolist()) - {''} or {''}
    return [s for s in usual if s in found] + sorted(found - set(usual))
