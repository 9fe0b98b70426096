"""Write checkpoints atomically."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.fileio import LocalBackend
from mmengine.fileio.backends.registry_utils import prefix_to_backends
from mmengine.runner import runner as mmengine_runner

from mmimbal.files.atomic import atomic_write
from mmimbal.files.plain_content import plain_content

OF_TENSORS = ('state_dict', 'ema_state_dict', 'optimizer')  # nothing else is in them


class AtomicBackend(LocalBackend):
    """mmengine's backend for local files, with atomic writes."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes atomically."""
        with atomic_write(Path(filepath)) as unfinished:
            unfinished.write_bytes(obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text atomically."""
        self.put(obj.encode(encoding), filepath)


@contextmanager
def atomic_saving() -> Iterator[None]:
    """Make mmengine write local files atomically, in a block.

    What could not be loaded again, such as functions of schedules, becomes plain, see
    :func:`mmimbal.files.plain_content.plain_content`. If another package has registered
    its own backend for local files, that one stays.
    """
    before, save = prefix_to_backends[''], mmengine_runner.save_checkpoint

    def save_plain(checkpoint: dict, *args, **kwargs) -> None:
        tensors = {k: v for k, v in checkpoint.items() if k in OF_TENSORS}
        others = {k: v for k, v in checkpoint.items() if k not in OF_TENSORS}
        save(plain_content(others) | tensors, *args, **kwargs)

    if before is LocalBackend:
        prefix_to_backends[''] = AtomicBackend
    mmengine_runner.save_checkpoint = save_plain
    try:
        yield
    finally:
        prefix_to_backends[''], mmengine_runner.save_checkpoint = before, save


def save_checkpoint_file(content: dict, file: Path) -> None:
    """Write a checkpoint atomically.

    Raises:
        IsADirectoryError: If ``file`` is a folder.
        OSError: If it cannot be written, for example if the disk is full.
    """
    try:
        with atomic_write(file) as unfinished:
            torch.save(content, unfinished)
    except RuntimeError as error:  # torch raises this if the disk is full
        raise OSError(f'{file} cannot be written: {error}') from error
