"""Checkpoints: loaded without running a stranger's code, written whole."""

import errno
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.dist import barrier, get_local_rank
from mmengine.fileio import LocalBackend
from mmengine.fileio.backends.registry_utils import prefix_to_backends
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader

from mmimbal.files.atomic import atomic_write
from mmimbal.files.safe_globals import only_safe_globals


class UnsafeCheckpointError(RuntimeError):
    """A checkpoint refers to something that plain weights do not need."""


@contextmanager
def safe_loading() -> Iterator[None]:
    """Make mmengine load files and downloads with ``weights_only=True``, in a block.

    mmengine 0.10.7 cannot resume from its own checkpoints that way
    (mmengine#1655), and other releases load a file that is refused a second time
    without that protection. Of mmengine's own loaders, those for files and downloads
    are replaced, and those that can only unpickle refuse. Loaders that somebody else
    has registered stay. Afterwards all is as before, also after an error.
    """
    ours = dict(
        load_from_local=load_from_local,
        load_from_http=load_from_http,
        load_from_pavi=refuse_store,
        load_from_ceph=refuse_store,
    )
    loaders = {
        prefix: ours.get(loader.__name__, loader)
        if loader.__module__ == mmengine_checkpoint.__name__
        else loader
        for prefix, loader in CheckpointLoader._schemes.items()
    }
    before = CheckpointLoader._schemes, mmengine_checkpoint.load_from_http
    CheckpointLoader._schemes = loaders
    # torchvision://, mmcls:// and open-mmlab:// look up a URL and call this.
    mmengine_checkpoint.load_from_http = load_from_http
    try:
        yield
    finally:
        CheckpointLoader._schemes, mmengine_checkpoint.load_from_http = before


class AtomicBackend(LocalBackend):
    """mmengine's files on disk, but each is whole or not there."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes."""
        with atomic_write(Path(filepath)) as unfinished:
            unfinished.write_bytes(obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text."""
        self.put(obj.encode(encoding), filepath)


@contextmanager
def atomic_saving() -> Iterator[None]:
    """Make mmengine write files so that a kill leaves the old or the new, in a block.

    A backend that somebody else has registered for files stays.
    """
    before = prefix_to_backends['']
    if before is LocalBackend:
        prefix_to_backends[''] = AtomicBackend
    try:
        yield
    finally:
        prefix_to_backends[''] = before


def save_checkpoint_file(content: dict, file: Path) -> None:
    """Write a checkpoint that is either whole or not there.

    Raises:
        IsADirectoryError: If ``file`` is a folder.
        OSError: If it cannot be written, such as to a full disk.
    """
    try:
        with atomic_write(file) as unfinished:
            torch.save(content, unfinished)
    except RuntimeError as error:  # what torch makes of a full disk
        raise OSError(f'{file} cannot be written: {error}') from error


def load_from_local(filename: str | Path, map_location=None) -> dict:
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
        with only_safe_globals():
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
            f'{filename} is damaged or not a checkpoint. Perhaps a run was stopped '
            'while it wrote the file. Choose an earlier checkpoint'
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
        with only_safe_globals():
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


def refuse_store(filename: str, map_location=None, **_) -> dict:
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
        with only_safe_globals():
            found = torch.serialization.get_unsafe_globals_in_checkpoint(filename)
    except Exception:  # a legacy file, a URL, or no checkpoint at all
        found = []
    what = f'it refers to {", ".join(found)}' if found else str(error).split('\n')[0]
    return (
        f'{filename} was not loaded and nothing in it was run: {what}. A checkpoint '
        'may hold tensors, numbers, strings and containers only. If you wrote it '
        "yourself, save it again as {'state_dict': model.state_dict()}."
    )
