"""The stored result of ``tools/check_dataset.py``."""

import hashlib
import json
import logging
from pathlib import Path

from mmengine.logging import print_log

REPORT = 'check.json'


def file_hash(file: Path) -> str:
    """Return a hash of a file, such as an ``index.csv`` or an image."""
    return hashlib.blake2b(file.read_bytes()).hexdigest()[:32]


def read_check_result(index: Path, split_column: str) -> str:
    """Return ``'checked'``, ``'failed'`` or ``'unchecked'``.

    A result is valid for the checked split columns, until the index changes.
    """
    try:
        report = json.loads(index.with_name(REPORT).read_text(encoding='utf-8'))
        if report['index'] != file_hash(index):
            return 'unchecked'
        if split_column not in report['split_columns']:
            return 'unchecked'
        return 'failed' if report['errors'] else 'checked'
    except (FileNotFoundError, KeyError, TypeError, ValueError):  # damaged, too
        return 'unchecked'


def warn_unless_checked(check_result: str, index: Path, split_column: str) -> None:
    """Log a warning if a dataset was not checked or has failed its check."""
    if check_result == 'checked':
        return
    problem = {
        'failed': f'has failed its check: see {index.with_name(REPORT)}',
        'unchecked': 'was not checked since its index was written',
    }[check_result]
    column = '' if split_column == 'split' else f' --split-column {split_column}'
    print_log(
        f'The dataset {index.parent} {problem}. Check it with: python '
        f'tools/check_dataset.py {index.parent}{column}',
        'current',
        logging.WARNING,
    )
