"""The text of a config, which mmengine formats anew for every checkpoint."""

from mmengine.config import config as mmengine_config

_formatted: dict[tuple[str, str], tuple[str, bool]] = {}


def format_configs_once() -> None:
    """Make mmengine remember the config text that it formatted last.

    Formatting takes 0.3 s, which is longer than an epoch on cached features.
    """
    format_code = mmengine_config.FormatCode
    if format_code.__module__ == __name__:
        return

    def format_once(text: str, **options) -> tuple[str, bool]:
        key = text, repr(options)
        if key not in _formatted:
            found = format_code(text, **options)
            _formatted.clear()
            _formatted[key] = found
        return _formatted[key]

    mmengine_config.FormatCode = format_once
