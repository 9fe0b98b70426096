"""Read configs of datasets and transforms."""

from collections.abc import Mapping
from pathlib import Path


def innermost(cfg: Mapping, key: str, first_of_several: bool = False) -> Mapping:
    """Return the config of a dataset that has a key, looking through wrappers.

    Args:
        cfg: Config of a dataset, such as of a ``RepeatDataset`` of another one.
        key: The key, such as ``'pipeline'``.
        first_of_several: Whether to look into the first data set of a
            ``ConcatDataset``: to read from it, not to change it.

    Returns:
        The config; the last one that was looked at, if it has not the key either.
    """
    while key not in cfg:
        inner = cfg.get('dataset')
        if inner is None and first_of_several and cfg.get('datasets'):
            inner = cfg['datasets'][0]
        if inner is None:
            break
        cfg = inner
    return cfg


def index_of(cfg: Mapping) -> Path | None:
    """Return the index of the images of a dataset, be it there or not.

    Args:
        cfg: Config of a dataset. If there are wrappers, that of the first one inside
            which has a ``data_root``.

    Returns:
        The file; ``None`` if the dataset has no folder.
    """
    dataset = innermost(cfg, 'data_root', first_of_several=True)
    if not dataset.get('data_root'):
        return None
    # Datasets of others have an ann_file that is no index.
    is_ours = name_of(dataset) == 'CSVDataset'
    name = (is_ours and dataset.get('ann_file')) or 'index.csv'
    return Path(dataset['data_root'], name)


def name_of(cfg: Mapping) -> str:
    """Return the name of a component without its scope; its type may be a class.

    Args:
        cfg: Config of a component.
    """
    kind = cfg.get('type') or ''
    return (kind if isinstance(kind, str) else kind.__name__).rpartition('.')[2]
