"""The best score of a run, which decides on its best checkpoint."""

from mmengine.config import Config

from mmimbal.engine.resumed_numbers import plain


def best_by(cfg: Config) -> str:
    """Return by which metrics and rules the best checkpoint of a run is chosen."""
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    keys = ('save_best', 'rule', 'greater_keys', 'less_keys')
    chosen = {key: plain(checkpoint[key]) for key in keys if checkpoint.get(key)}
    return ', '.join(f'{key}={value}' for key, value in chosen.items())


def forget_best_score(info: dict) -> None:
    """Remove the best scores from what a run knows; the next validation is the best.

    Args:
        info: ``runtime_info`` of a message hub. It keeps the path of the best
            checkpoint, which the next one replaces.
    """
    for key in [key for key in info if key.startswith('best_score')]:
        info.pop(key)
