"""What must be installed before anything of mmimbal can work."""

import re
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

OLDEST_TORCH = (2, 6)


def check_torch(torch_version: str) -> None:
    """Refuse a torch that cannot load checkpoints safely.

    Args:
        torch_version: As in ``torch.__version__``, e.g. ``'2.11.0+cu130'``.

    Raises:
        ImportError: If it is older than 2.6.
    """
    major, minor = map(int, re.match(r'(\d+)\.(\d+)', torch_version).groups())
    if (major, minor) < OLDEST_TORCH:
        raise ImportError(
            f'mmimbal needs torch >= 2.6, found {torch_version}: older releases '
            'cannot load a checkpoint without running the code in it '
            "(CVE-2025-32434). Upgrade with: pip install 'torch>=2.6' torchvision"
        )


def check_mmcv(is_installed: bool) -> None:
    """Explain how to install mmcv where there is none.

    Raises:
        ImportError: If mmcv is not installed.
    """
    if not is_installed:
        raise ImportError(
            'mmimbal needs mmcv, in either build: mmcv-lite, a wheel that is enough '
            "for classification (pip install 'mmimbal[lite]'), or the full mmcv "
            '(https://mmcv.readthedocs.io). Never install both: they share a folder.'
        )


def check_requirements() -> None:
    """Check what pip cannot promise: a safe torch, and mmcv in either build."""
    try:
        check_torch(version('torch'))
    except PackageNotFoundError as error:
        raise ImportError(
            'mmimbal needs torch: https://pytorch.org/get-started'
        ) from error
    check_mmcv(find_spec('mmcv') is not None)
