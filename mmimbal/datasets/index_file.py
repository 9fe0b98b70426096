"""Reading and checking an ``index.csv``, column by column: fast for 1e6 rows."""

import csv
import json
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.csv import ConvertOptions, ParseOptions, read_csv

from mmimbal.datasets.index_header import check_header, require_columns
from mmimbal.datasets.quotation_marks import check_quotation_marks
from mmimbal.datasets.spelling import (
    UNKNOWN_WORDS,
    check_near_equal,
    classes_of,
    shortened,
    split_of,
)
from mmimbal.datasets.splits import check_groups
from mmimbal.files.json_file import read_json

HOW_TO_SPLIT = dict(
    cal='tools/prepare_dataset.py makes it with --calibration 0.15',
    val='Train with --no-validate, or give the classes more groups',
)


def check_is_there(index: Path) -> None:
    """Raise a FileNotFoundError if a data set has no index."""
    if not index.is_file():
        raise FileNotFoundError(
            f'no dataset at {index}. tools/prepare_dataset.py makes one. Configs look '
            'for theirs in the folder that MMIMBAL_DATA names (default: data)'
        )


def read_index(index: Path) -> pa.Table:
    """Read a CSV file with at least the columns ``file`` and ``label``.

    Returns:
        The table. Every column is text.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a CSV file in UTF-8, a column or a cell is missing, a
            file is listed twice, or there are no rows.
    """
    check_is_there(index)
    try:
        with open(index, newline='', encoding='utf-8-sig') as file:
            header = next(csv.reader(file), [])
        check_header(header, index)
        table = read_csv(
            index,
            parse_options=ParseOptions(newlines_in_values=True),
            convert_options=ConvertOptions(
                column_types=dict.fromkeys(header, pa.string())
            ),
        )
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{index} is not in UTF-8: {error}. Save it as UTF-8'
        ) from None
    except (pa.ArrowInvalid, csv.Error) as error:
        raise ValueError(f'{index} is no CSV file in UTF-8: {error}') from None
    if not len(table):
        raise ValueError(f'{index} has a header but no rows')
    check_quotation_marks(table, index)
    for name in ('file', 'label'):
        if (row := pc.index(table[name], '').as_py()) >= 0:
            raise ValueError(f'{index} has no {name} in row {row + 2}')
    table = with_plain_paths(table)
    if pc.count_distinct(table['file']).as_py() < len(table):
        counts = pc.value_counts(table['file'])
        repeated = counts.filter(pc.greater(counts.field('counts'), 1))[0]['values']
        raise ValueError(f'{index} lists {repeated.as_py()!r} more than once')
    return table


def with_plain_paths(table: pa.Table) -> pa.Table:
    """Return an index in which one file has one name: './a//b.png' is 'a/b.png'."""
    files = table['file']
    is_plain = pc.invert(pc.match_substring_regex(files, r'(^|/)\.?/|/\.?$'))
    if pc.all(is_plain).as_py():
        return table
    names = [str(PurePosixPath(file)) for file in files.to_pylist()]
    column = table.column_names.index('file')
    return table.set_column(column, 'file', pa.chunked_array([names]))


def read_description(index: Path) -> dict | None:
    """Read the ``dataset.json`` beside an ``index.csv``, if there is one.

    Returns:
        Its content, with at least ``classes``, the class names; or ``None``.

    Raises:
        ValueError: If it does not list the classes.
    """
    file = index.with_name('dataset.json')
    if not file.is_file():
        return None
    description = read_json(file)
    classes = description.get('classes') if isinstance(description, dict) else None
    are_names = isinstance(classes, list) and all(isinstance(c, str) for c in classes)
    if not are_names or not classes or len(set(classes)) < len(classes):
        raise ValueError(
            f'{file} must name the classes, each once: '
            f'{{"classes": ["a", "b"]}}; it holds {json.dumps(description)[:80]}'
        )
    return description


def read_classes(index: Path, table: pa.Table) -> tuple[str, ...]:
    """Return the class names of ``dataset.json``, or else the sorted labels.

    If the labels are indices, the names are 0 to the highest index.

    Raises:
        ValueError: If ``dataset.json`` exists but does not list the classes, or two
            labels differ only in case or blanks.
    """
    if description := read_description(index):
        return tuple(description['classes'])
    labels = pc.unique(table['label']).to_pylist()
    check_near_equal(table['label'].to_pylist(), 'labels', index)
    return classes_of(labels)


def rows_of_split(table: pa.Table, split: str, column: str, index: Path) -> pa.Array:
    """Return a mask of the rows of a split, (N,), bool.

    Raises:
        ValueError: If the column is missing, no row is of that split, or a split has
            two spellings, such as ``train`` and ``Training``.
    """
    require_columns(table.column_names, (column,), index)
    for name in pc.unique(table[column]).to_pylist():
        if (usual := split_of(name)) not in (None, name):
            raise ValueError(
                f'{index}, column {column}: {name!r} must be written {usual!r}. '
                'tools/prepare_dataset.py csv does that'
            )
    chosen = pc.equal(table[column], split).combine_chunks()
    if not pc.any(chosen).as_py():
        splits = ', '.join(sorted(pc.unique(table[column]).to_pylist()))
        raise ValueError(
            f'{index} has no {column} {split!r}; there are: {splits}. '
            f'{HOW_TO_SPLIT.get(split, "")}'.rstrip()
        )
    return chosen


def check_no_group_straddles(table: pa.Table, column: str, index: Path) -> None:
    """Check that no group (a lesion, a patient) is in two splits.

    Raises:
        ValueError: If a group is; the message names the first one.
    """
    if 'group' not in table.column_names:
        return
    groups = known_groups(table)
    known = pc.and_(pc.not_equal(groups, ''), pc.not_equal(table[column], ''))
    try:
        check_groups(groups.filter(known), table[column].filter(known))
    except ValueError as error:
        raise ValueError(
            f'{index}, column {column}: {error}. Split by groups, or accept this with '
            'shared_groups=True'
        ) from None


def known_groups(table: pa.Table) -> pa.ChunkedArray:
    """Return the column ``group``, empty where a cell says that nothing is known."""
    groups = table['group']
    words = pc.utf8_lower(pc.utf8_trim_whitespace(groups))
    unknown = pc.is_in(words, value_set=pa.array(sorted(UNKNOWN_WORDS)))
    return pc.if_else(unknown, '', groups)


def groups_of_rows(table: pa.Table) -> pa.ChunkedArray:
    """Return the group of each row, (N,); its file where no group is known."""
    if 'group' not in table.column_names:
        return table['file']
    groups = known_groups(table)
    return pc.if_else(pc.equal(groups, ''), table['file'], groups)


def encode_labels(table: pa.Table, classes: tuple[str, ...], index: Path) -> np.ndarray:
    """Return the class index of each row, (N,); labels are class names or indices.

    Pass the table of all splits: one split may not show which of the two they are.

    Raises:
        ValueError: If the labels are neither all class names nor all indices.
    """
    encoded = table['label'].combine_chunks().dictionary_encode()
    labels = encoded.dictionary.to_pylist()
    codes = {name: code for code, name in enumerate(classes)}
    if not codes.keys() >= set(labels) and all(label.isdecimal() for label in labels):
        codes = {str(code): code for code in range(len(classes))}
    unknown = sorted(set(labels) - codes.keys())
    if unknown:
        first = table['file'][pc.index(table['label'], unknown[0]).as_py()]
        raise ValueError(
            f'{index} has labels that are no class: '
            f'{shortened([repr(label) for label in unknown])} '
            f'(first at file {first.as_py()!r}). The {len(classes)} classes are: '
            f'{shortened(classes)}'
        )
    return np.array([codes[label] for label in labels])[encoded.indices.to_numpy()]
