"""Find files that a run needs and that are missing.

A Runner finds them too, but after a page of log, and with a traceback.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mmengine.config import Config

from mmimbal.datasets.index_file import check_is_there
from mmimbal.datasets.sources.walk import own_files
from mmimbal.files.atomic import check_can_be_file
from mmimbal.files.dataset_config import index_of, innermost, name_of
from mmimbal.files.work_dir import can_resume
from mmimbal.stage2.config import two_stage_hooks
from mmimbal.stage2.stage1 import find_stage1


def check_data(cfg: Config, *loaders: str) -> None:
    """Raise a FileNotFoundError if a data set of a config is not there.

    Only ``mmimbal.CSVDataset`` is judged.

    Args:
        cfg: The config.
        *loaders: Keys of the loaders whose data sets are needed.
    """
    for key in loaders:
        dataset = (cfg.get(key) or {}).get('dataset') or {}
        dataset = innermost(dataset, 'data_root', first_of_several=True)
        index = index_of(dataset)
        if index and name_of(dataset) == 'CSVDataset':
            check_is_there(index)


def check_is_no_data(cfg: Config, files: Iterable[Path]) -> None:
    """Raise a FileExistsError if a file to write describes the data set of a test.

    Args:
        cfg: The config.
        files: The files.
    """
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    dataset = innermost(dataset, 'data_root', first_of_several=True)
    for file in files:
        check_can_be_file(file, *own_files(Path(dataset.get('data_root') or '.')))


def check_checkpoints(cfg: Config) -> None:
    """Raise an error if a checkpoint that training starts from is not there.

    Raises:
        FileNotFoundError: If ``load_from``, the file of a ``Pretrained`` initializer,
            or the stage 1 of a stage 2 is missing. A resumed stage 2 has the weights of
            its stage 1.
        ValueError: As :func:`mmimbal.stage2.stage1.find_stage1`.
    """
    for path in (cfg.get('load_from'), *pretrained_files(cfg.get('model'))):
        if path and '://' not in path and not Path(path).expanduser().is_file():
            raise FileNotFoundError(f'no checkpoint at {path}')
    for hook in () if goes_on(cfg) else two_stage_hooks(cfg):
        if hook.get('stage1'):
            find_stage1(hook.stage1)


def goes_on(cfg: Config) -> bool:
    """Return whether a run resumes from a checkpoint: it needs no stage 1 then."""
    work_dir = Path(cfg.get('work_dir') or '.')
    return bool(cfg.get('resume') and (cfg.get('load_from') or can_resume(work_dir)))


def pretrained_files(cfg: object) -> Iterator[str | None]:
    """Return the files, or addresses, of all ``Pretrained`` initializers in a config.

    One without a file gives ``None``; building it is an error.

    Args:
        cfg: Config of a model, or any value in it.
    """
    if isinstance(cfg, Mapping):
        if name_of(cfg) == 'Pretrained':
            yield cfg.get('checkpoint')
        cfg = [*cfg.values()]
    if isinstance(cfg, list | tuple):
        for each in cfg:
            yield from pretrained_files(each)
