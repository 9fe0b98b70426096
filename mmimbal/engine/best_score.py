"""The best score of a run, which decides on its best checkpoint."""

from collections.abc import Iterable

from mmengine.hooks import CheckpointHook, Hook


def best_by(hooks: Iterable[Hook]) -> dict[str, str]:
    """Return the metrics that choose the best checkpoint of a run, with their rules.

    Empty if there is no best one, or before ``save_best='auto'`` has chosen a metric.
    """
    savers = [h for h in hooks if isinstance(h, CheckpointHook) and h.save_best]
    found = {}
    for saver in savers:
        found |= dict(zip(saver.key_indicators, saver.rules, strict=True))
    return {} if 'auto' in found else found


def forget_best_score(info: dict) -> None:
    """Remove the best scores from what a run knows; the next validation is the best.

    Args:
        info: ``runtime_info`` of a message hub. It keeps the path of the best
            checkpoint, which the next one replaces.
    """
    for key in [key for key in info if key.startswith('best_score')]:
        info.pop(key)
