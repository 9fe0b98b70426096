"""The config of a dataset inside its wrappers."""

from collections.abc import Mapping


def innermost(cfg: Mapping, key: str) -> Mapping:
    """Return the config of a dataset that has a key, looking through wrappers.

    Args:
        cfg: Config of a dataset, such as of a ``RepeatDataset`` of another one. Of a
            ``ConcatDataset``, the first one counts.
        key: The key, such as ``'pipeline'``.

    Returns:
        The config, the innermost one if none has the key.
    """
    while key not in cfg and (cfg.get('dataset') or cfg.get('datasets')):
        cfg = cfg.get('dataset') or cfg['datasets'][0]
    return cfg
