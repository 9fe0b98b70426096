"""Load checkpoints without running code in them."""

import errno
import pickle
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

import torch
from mmengine.dist import barrier, get_local_rank
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader

from mmimbal.files.errors import UnsafeCheckpointError
from mmimbal.files.safe_globals import only_safe_globals

MMPRETRAIN = 'mmpretrain://'


@contextmanager
def safe_loading() -> Iterator[None]:
    """Make mmengine load files and downloads with ``weights_only=True``, in a block.

    mmengine 0.10.7 cannot resume from its own checkpoints in this way (mmengine#1655).
    Other releases try again without ``weights_only`` if a file is refused. In the
    block, mmengine's loaders for files and downloads are replaced, and its loaders
    that can only unpickle raise an error. Loaders that other packages have registered
    stay. At the end everything is restored, also after an error.
    """
    ours = dict(
        load_from_local=load_from_local,
        load_from_http=load_from_http,
        load_from_pavi=refuse_to_unpickle,
        load_from_ceph=refuse_to_unpickle,
    )
    loaders = {
        prefix: ours.get(loader.__name__, loader)
        if loader.__module__ == mmengine_checkpoint.__name__
        else loader
        for prefix, loader in CheckpointLoader._schemes.items()
    }
    loaders = {MMPRETRAIN: load_from_mmpretrain, **loaders}
    before = CheckpointLoader._schemes, mmengine_checkpoint.load_from_http
    CheckpointLoader._schemes = loaders
    # Loaders of torchvision://, mmcls:// and open-mmlab:// call this function.
    mmengine_checkpoint.load_from_http = load_from_http
    try:
        yield
    finally:
        CheckpointLoader._schemes, mmengine_checkpoint.load_from_http = before


def load_from_local(filename: str | Path, map_location=None) -> dict:
    """Load a checkpoint file of plain tensors, numbers, strings and containers.

    Args:
        filename: Path of the file.
        map_location: As in :func:`torch.load`.

    Raises:
        FileNotFoundError: If there is no such file.
        UnsafeCheckpointError: If the file refers to any other Python object. No code
            in the file is run.
        ValueError: If the file is truncated or holds no dict.
        OSError: If it cannot be read.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'no checkpoint at {filename}')
    try:
        with only_safe_globals():
            loaded = torch.load(path, map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnsafeCheckpointError(_explain(str(path), error)) from None
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # torch.load raises many kinds for a damaged file
        # EINVAL: torch seeks outside a truncated file. Other disk errors are real.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise ValueError(
            f'{filename} is damaged or not a checkpoint. Perhaps a run was stopped '
            'while it wrote the file. Use an earlier checkpoint'
        ) from error
    return _without_config(loaded, filename)


def load_from_http(
    filename: str,
    map_location=None,
    model_dir: str | None = None,
    progress: bool | None = None,
) -> dict:
    """Download a checkpoint once per machine, and load it with ``weights_only=True``.

    Args:
        filename: The URL.
        map_location: As in :func:`torch.load`.
        model_dir: Folder of downloads; torch's hub folder if ``None``.
        progress: Whether to show a progress bar; if ``None``, only on a terminal.

    Raises:
        UnsafeCheckpointError: As in :func:`load_from_local`.
        ConnectionError: If the download fails.
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
    except URLError as error:
        raise ConnectionError(
            f'cannot download {filename}: {error.reason}. Download it elsewhere, and '
            'give the file, e.g. --cfg-options model.backbone.init_cfg.checkpoint=FILE'
        ) from None
    return _without_config(checkpoint, filename)


def refuse_to_unpickle(filename: str, map_location=None, **_) -> dict:
    """Refuse to load from a store (Ceph, PAVI) that mmengine can only unpickle.

    Raises:
        UnsafeCheckpointError: Always.
    """
    raise UnsafeCheckpointError(
        f'{filename} was not loaded: mmengine can only unpickle files from this store, '
        'which is unsafe. Download the file and load it from disk'
    )


def load_from_mmpretrain(filename: str, map_location=None) -> dict:
    """Download the weights that the installed MMPretrain publishes for a model.

    Both lines of OpenMMLab name their own host in their metafiles.

    Args:
        filename: Such as ``'mmpretrain://resnet50_8xb32_in1k'``.
        map_location: As in :func:`torch.load`.

    Raises:
        ValueError: If MMPretrain has no such model, or no weights for it.
        UnsafeCheckpointError: As in :func:`load_from_local`.
    """
    from mmpretrain.apis import ModelHub  # reads all metafiles

    name = filename.removeprefix(MMPRETRAIN)
    try:
        url = ModelHub.get(name).weights
    except ValueError as error:
        raise ValueError(f'{filename}: MMPretrain has no model {name}') from error
    if not url:
        raise ValueError(f'{filename}: MMPretrain has no weights for {name}')
    return load_from_http(url, map_location)


def _without_config(checkpoint: object, filename: str | Path) -> dict:
    """Remove ``meta['config']``, which ``Runner.resume`` would execute as Python.

    Raises:
        ValueError: If the checkpoint is no dict.
    """
    if not isinstance(checkpoint, dict):
        kind = type(checkpoint).__name__
        raise ValueError(f'{filename} holds a {kind}, but a checkpoint is a dict')
    meta = checkpoint.get('meta', {})
    if isinstance(meta, dict):
        meta.pop('config', None)
    else:  # of another program
        del checkpoint['meta']
    return checkpoint


def _explain(filename: str, error: pickle.UnpicklingError) -> str:
    return (
        f'{filename} was not loaded, and no code in it was run: '
        f'{_reason(filename, str(error))}. A checkpoint may contain only tensors, '
        'numbers, strings and containers. If you wrote it yourself, save it again as '
        "{'state_dict': model.state_dict()}."
    )


def _reason(filename: str, message: str) -> str:
    """Return why torch refuses a file, without its advice to load it unsafely."""
    try:
        with only_safe_globals():
            names = torch.serialization.get_unsafe_globals_in_checkpoint(filename)
    except Exception:  # a legacy file, a URL, or not a checkpoint
        names = re.findall(r'Unsupported global: GLOBAL (\S+)', message)
    if names:
        return f'it refers to {", ".join(names)}'
    found = re.search(r'WeightsUnpickler error:\s*(.+)', message)
    if not found or found[1].startswith('Unsupported operand'):  # an unknown byte
        return 'it is no file that torch.save writes'
    return found[1]
