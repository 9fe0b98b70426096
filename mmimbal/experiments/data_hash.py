"""A hash of the rows of an index, to notice that a data set has changed."""

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from mmengine.config import Config

from mmimbal.command_line.prepared import data_folder
from mmimbal.datasets.index_file import read_index
from mmimbal.experiments.grid_run import GridRun
from mmimbal.files.config_text import read_config
from mmimbal.files.dataset_config import index_of


def index_of_run(run: GridRun) -> Path | None:
    """Return the index of the data set of a run; ``None`` if it is not known here."""
    if Path(run.experiment).suffix == '.py':
        return index_of_config(read_config(run.experiment), run.options)
    has_other = any('data_root' in option for option in run.options)
    return None if has_other else data_folder(run.dataset) / 'index.csv'


def index_of_config(cfg: Config, options: Iterable[str]) -> Path | None:
    """Return the index of the training images of a config, be it there or not.

    Args:
        cfg: The config.
        options: Options that change it; if they name another folder or file, ``None``
            is returned.
    """
    if any(key in option for option in options for key in ('data_root', 'ann_file')):
        return None
    loader = cfg.get('train_dataloader') or {}
    return index_of(loader.get('dataset') or {})


def hash_of_fold(index: Path | None, fold: int | None) -> str | None:
    """Return a hash of the files, labels, groups and splits of an index.

    Other columns, and the order of rows and columns, do not change it.

    Args:
        index: An ``index.csv``.
        fold: Number of the column of splits; ``None`` for ``split``.

    Returns:
        16 hexadecimal digits; ``None`` if there is no such file.
    """
    if index is None or not index.is_file():
        return None
    column = 'split' if fold is None else f'fold{fold}'
    state = index.stat()
    version = (state.st_mtime_ns, state.st_size, state.st_ino)
    return _hash(index, version, column)


@cache
def _hash(index: Path, version: tuple[int, ...], column: str) -> str:
    table = read_index(index)
    names = [n for n in ('file', 'label', 'group', column) if n in table.column_names]
    rows = sorted(zip(*(table[name].to_pylist() for name in names), strict=True))
    return hashlib.sha256(repr((names, rows)).encode()).hexdigest()[:16]
