"""Checks of a dataset: its files, labels and splits."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa

from mmimbal.datasets.checking.check_result import file_hash
from mmimbal.datasets.checking.duplicates import (
    identical,
    identical_across,
    near_across,
    near_duplicates,
)
from mmimbal.datasets.checking.finding import Finding, findings_of
from mmimbal.datasets.checking.image_facts import ImageFacts, read_image_facts
from mmimbal.datasets.checking.unusual import unusual
from mmimbal.datasets.index_file import (
    encode_labels,
    groups_of_rows,
    known_groups,
    read_classes,
    read_index,
)
from mmimbal.datasets.index_header import names_of_folds, require_columns
from mmimbal.datasets.listed_files import check_paths, missing_files
from mmimbal.datasets.spelling import SPLITS, is_unknown, near_equal, split_of
from mmimbal.datasets.splits import straddling_groups

FEW = 10  # images of a class in a split: fewer are a warning


def check_dataset(
    root: Path, processes: int | None = None, split_column: str | None = None
) -> dict:
    """Check a folder with an ``index.csv``, and each of its split columns.

    Images are decoded as training decodes them: by mmcv's ``LoadImageFromFile``.

    Near duplicates are images in two splits whose perceptual hashes (DCT of the image
    at 32 x 32) differ in at most 2 of 64 bits. Rotated and mirrored duplicates are not
    found.

    Args:
        root: The folder.
        processes: Number of processes that decode images; one per core if ``None``.
        split_column: The split column to check. If ``None``, ``split`` and those of
            cross-validation: ``fold0``, ``fold1``, ...

    Returns:
        ``index`` (hash of the index), ``split_columns``, ``classes``, ``counts``
        (class counts, (K,), of each split of the first column), ``images`` (their
        number), ``findings`` (a list of :class:`Finding` as dicts) and ``errors``
        (number of findings that are errors).

    Raises:
        FileNotFoundError: If there is no index.
        ValueError: If the index itself is broken, or a label is unknown.
    """
    index = root / 'index.csv'
    table = read_index(index)
    check_paths(table, index)
    classes = read_classes(index, table)
    labels = encode_labels(table, classes, index)
    files = table['file'].to_pylist()
    columns = _split_columns(table, split_column, index)
    groups = groups_of_rows(table).to_pylist()
    missing = set(missing_files(table, index))
    facts = list(read_image_facts(root, files, missing, processes))
    findings = [*_unreadable(files, missing, facts), *unusual(files, facts)]
    findings += identical(files, labels, facts)
    findings += _spellings(table, columns, classes)
    pairs = near_duplicates(np.stack(list(columns.values()), 1), facts)
    found = {
        column: [
            *_counts(labels, splits, classes),
            *_without_images(splits),
            *_straddling(groups, splits),
            *identical_across(files, splits, facts),
            *near_across(files, splits, pairs),
            *_in_no_split(files, splits),
        ]
        for column, splits in columns.items()
    }
    findings += _merged(found)
    findings.sort(key=lambda finding: finding.level)
    splits = next(iter(columns.values()))
    return dict(
        index=file_hash(index),
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


def _merged(found: Mapping[str, list[Finding]]) -> list[Finding]:
    """Return the findings of all split columns, those with the same cases once.

    Each names its columns, unless it is of the first one alone.
    """
    columns_of: dict[tuple, list[str]] = {}
    for column, findings in found.items():
        for finding in findings:
            key = finding.level, finding.what, tuple(finding.examples)
            columns_of.setdefault(key, []).append(column)
    return [
        Finding(
            level,
            what if columns == [*found][:1] else f'{what} ({", ".join(columns)})',
            len(cases),
            [*cases],
        )
        for (level, what, cases), columns in columns_of.items()
    ]


def _split_columns(
    table: pa.Table, column: str | None, index: Path
) -> dict[str, np.ndarray]:
    """Return each split column, (N,); without one, a column of empty names."""
    if column:
        require_columns(table.column_names, (column,), index)
        names = [column]
    else:
        names = ['split'] if 'split' in table.column_names else []
        names += names_of_folds(table.column_names)
    if not names:
        return {'split': np.full(len(table), '')}
    return {name: np.array(table[name].to_pylist()) for name in names}


def _unreadable(
    files: list[str], missing: set[str], facts: list[ImageFacts]
) -> list[Finding]:
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
        small = [
            f'{name}: {n}'
            for name, n in zip(classes, counts, strict=True)
            if 0 < n < FEW
        ]
        level = 'error' if split in ('', 'train') else 'warning'
        findings += findings_of(level, f'classes without images{where}', empty)
        findings += findings_of(
            'warning', f'classes of fewer than {FEW} images{where}', small
        )
    return findings


def _spellings(
    table: pa.Table, columns: dict[str, np.ndarray], classes: tuple[str, ...]
) -> list[Finding]:
    """Find groups and splits with several spellings, and classes without a name."""
    findings = []
    if 'group' in table.column_names:
        known = [group for group in known_groups(table).to_pylist() if group]
        findings += findings_of(
            'error', 'groups with several spellings', near_equal(known)
        )
    names = {name for splits in columns.values() for name in splits.tolist()} - {''}
    usual = {name: split_of(name) for name in sorted(names)}
    wrong = [f'{n} instead of {s}' for n, s in usual.items() if s not in (None, n)]
    findings += findings_of('error', 'splits that no tool reads', wrong)
    others = [n for n, split in usual.items() if split is None and n != 'cal']
    findings += findings_of(
        'warning', 'splits that are not train, val, test or cal', others
    )
    numbers = [f'{number} = {name}' for number, name in enumerate(classes)]
    of_numbers = all(name.isdecimal() for name in classes)
    are_indices = of_numbers and set(table['label'].to_pylist()) - set(classes)
    what = 'classes with numbers as names; labels were taken as their indices'
    findings += findings_of('warning', what, numbers if are_indices else [])
    return findings + findings_of(
        'warning', 'classes without a name', list(filter(is_unknown, classes))
    )


def _without_images(splits: np.ndarray) -> list[Finding]:
    """Find that there is nothing to train on, to validate or to test."""
    names = set(splits.tolist()) - {''}
    if not names:  # a dataset without splits
        return []
    what = 'splits without images'
    lacking = [name for name in SPLITS if name not in names]
    to_train = [name for name in lacking if name == 'train']
    others = [name for name in lacking if name != 'train']
    return [
        *findings_of('error', what, to_train),
        *findings_of('warning', what, others),
    ]


def _straddling(groups: list[str], splits: np.ndarray) -> list[Finding]:
    assigned = np.flatnonzero(splits != '')
    straddling = straddling_groups([groups[n] for n in assigned], splits[assigned])
    return findings_of(
        'error',
        'groups in more than one split',
        [f'{group} ({", ".join(names)})' for group, names in straddling.items()],
    )


def _in_no_split(files: list[str], splits: np.ndarray) -> list[Finding]:
    unassigned = np.flatnonzero(splits == '')
    if len(unassigned) == len(files):  # a dataset without splits
        return []
    return findings_of('warning', 'images in no split', [files[n] for n in unassigned])


def _ordered(splits: np.ndarray) -> list[str]:
    """Return the split names, train, val and test first; [''] without splits."""
    names = set(splits.tolist()) - {''} or {''}
    return [s for s in SPLITS if s in names] + sorted(names - set(SPLITS))
