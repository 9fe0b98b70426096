"""Checkpoints: loaded without running a stranger's code, written whole."""

import errno
import pickle
import sys
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import barrier, get_local_rank
from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader

from mmimbal.whole_files import whole

HISTORY_METHODS = ('min', 'max', 'mean', 'current')
STORES = (r'(\S+\:)?s3://', r'(\S+\:)?petrel://', 'pavi://')


class UnsafeCheckpointError(RuntimeError):
    """A checkpoint refers to something that plain weights do not need."""


def use_safe_loading() -> None:
    """Make mmengine load every file and download with ``weights_only=True``.

    mmengine 0.10.7 cannot resume from its own checkpoints that way
    (mmengine#1655): what they hold besides tensors, the log history, is allowed by
    name here, and nothing else is.
    """
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            (_history_method, 'builtins.getattr'),
            np.ndarray,
            np.dtype,
            *{type(np.dtype(kind)) for kind in ('f4', 'f8', 'i4', 'i8', '?')},
            *_numpy_constructors(),
        ]
    )
    for prefixes, load in (
        ('', load_from_local),
        (('http://', 'https://'), load_from_http),
        (STORES, load_from_store),
    ):
        CheckpointLoader.register_scheme(prefixes, load, force=True)
    # torchvision://, mmcls:// and open-mmlab:// look up a URL and call this by name.
    mmengine_checkpoint.load_from_http = load_from_http


class WholeFiles(LocalBackend):
    """mmengine's files on disk, but each is whole or not there."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes."""
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as unfinished:
            unfinished.write_bytes(obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text."""
        self.put(obj.encode(encoding), filepath)


def use_whole_files() -> None:
    """Make mmengine write checkpoints so that a kill leaves the old or the new one."""
    register_backend('local', WholeFiles, force=True, prefixes='')


def save_whole(content: dict, file: Path) -> None:
    """Write a checkpoint that is either whole or not there.

    Raises:
        OSError: If it cannot be written, such as to a full disk.
    """
    try:
        with whole(file) as unfinished:
            torch.save(content, unfinished)
    except RuntimeError as error:  # what torch makes of a full disk
        raise OSError(f'{file} cannot be written: {error}') from error


def load_from_local(filename: str, map_location=None) -> dict:
    """Load a checkpoint file of plain tensors, numbers, strings and containers.

    Args:
        filename: Path of the file.
        map_location: As in :func:`torch.load`.

    Raises:
        FileNotFoundError: If there is no such file.
        UnsafeCheckpointError: If the file refers to any other Python object. Nothing
            of it has been run by then.
        ValueError: If the file is truncated or no checkpoint.
        OSError: If it cannot be read.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'no checkpoint at {filename}')
    try:
        return _without_code(torch.load(path, map_location, weights_only=True))
    except pickle.UnpicklingError as error:
        raise UnsafeCheckpointError(_explain(str(path), error)) from None
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # torch.load raises a dozen kinds for a damaged file
        # EINVAL is its seek beyond the ends of one; any other disk error may pass.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise ValueError(
            f'{filename} is no whole checkpoint; was a run stopped while it was '
            'written? Choose an earlier one'
        ) from error


def load_from_http(
    filename: str,
    map_location=None,
    model_dir: str | None = None,
    progress: bool | None = None,
) -> dict:
    """Download a checkpoint once per machine and load it as safely as a local one.

    Args:
        filename: The URL.
        map_location: As in :func:`torch.load`.
        model_dir: Where downloads are kept; torch's hub folder if ``None``.
        progress: Whether to draw a bar; if ``None``, on a terminal only.

    Raises:
        UnsafeCheckpointError: As in :func:`load_from_local`.
    """

    def load() -> dict:
        return torch.hub.load_state_dict_from_url(
            filename,
            model_dir,
            map_location,
            progress=sys.stderr.isatty() if progress is None else progress,
            weights_only=True,
        )

    try:
        if get_local_rank() == 0:
            checkpoint = load()
        barrier()
        if get_local_rank() != 0:
            checkpoint = load()
    except pickle.UnpicklingError as error:
        raise UnsafeCheckpointError(_explain(filename, error)) from None
    return _without_code(checkpoint)


def load_from_store(filename: str, map_location=None) -> dict:
    """Refuse stores whose files mmengine would unpickle.

    Raises:
        UnsafeCheckpointError: Always.
    """
    raise UnsafeCheckpointError(
        f'{filename} was not loaded: from this store mmengine can only unpickle. '
        'Download the file and load it from disk'
    )


def _without_code(checkpoint: dict) -> dict:
    """Drop ``meta['config']``, which ``Runner.resume`` would execute as Python."""
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get('meta'), dict):
        checkpoint['meta'].pop('config', None)
    return checkpoint


def _explain(filename: str, error: pickle.UnpicklingError) -> str:
    try:
        found = torch.serialization.get_unsafe_globals_in_checkpoint(filename)
    except Exception:  # a legacy file, a URL, or no checkpoint at all
        found = []
    what = f'it refers to {", ".join(found)}' if found else str(error).split('\n')[0]
    return (
        f'{filename} was not loaded and nothing in it was run: {what}. A checkpoint '
        'may hold tensors, numbers, strings and containers only. If you wrote it '
        "yourself, save it again as {'state_dict': model.state_dict()}."
    )


def _history_method(owner: type, name: str):
    """Stand in for ``getattr`` in a pickle: methods of HistoryBuffer only."""
    if owner is not HistoryBuffer or name not in HISTORY_METHODS:
        raise pickle.UnpicklingError(f'getattr({owner!r}, {name!r}) is not allowed')
    return getattr(owner, name)


def _numpy_constructors() -> list:
    """Name the two functions NumPy pickles with, as numpy 1 and numpy 2 spell them."""
    reconstruct = np.array(0.0).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    return [
        (function, f'numpy.{core}.multiarray.{name}')
        for function, name in ((reconstruct, '_reconstruct'), (scalar, 'scalar'))
        for core in ('core', '_core')
    ]
