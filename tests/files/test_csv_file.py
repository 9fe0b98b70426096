"""Columns become a CSV file, which is complete or does not exist."""

import csv

import pytest

from mmimbal.files.csv_file import write_columns


def test_what_is_written_is_read(tmp_path):
    columns = {'file, name': ['a "1"', 'b,\n2'], 'label': ['\u00e9', '']}
    write_columns(columns, tmp_path / 'x.csv')
    with open(tmp_path / 'x.csv', newline='', encoding='utf-8') as file:
        header, *rows = csv.reader(file)
    assert header == list(columns)
    assert rows == [list(row) for row in zip(*columns.values(), strict=True)]
    assert b'\r' not in (tmp_path / 'x.csv').read_bytes()


def test_columns_of_different_lengths_leave_the_old_file(tmp_path):
    (tmp_path / 'x.csv').write_text('old')
    with pytest.raises(ValueError):
        write_columns({'a': [1, 2], 'b': [1]}, tmp_path / 'x.csv')
    assert (tmp_path / 'x.csv').read_text() == 'old'
    assert len(list(tmp_path.iterdir())) == 1
