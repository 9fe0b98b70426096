"""Check the packages that mmimbal needs, when it is imported."""

import re
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

OLDEST_TORCH = (2, 6)
OPENMMLAB = ('mmengine', 'mmpretrain', 'mmcv')


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


def check_openmmlab(importable: Collection[str], installed: Collection[str]) -> None:
    """Check that one of the two builds of OpenMMLab is installed, and not both.

    Args:
        importable: Names out of mmengine, mmpretrain and mmcv that can be imported.
        installed: Names of the installed distributions.

    Raises:
        ImportError: If a package cannot be imported, or both builds are installed; the
            message says how to install them.
    """
    both = [name for name in OPENMMLAB if {name, f'onedl-{name}'} <= set(installed)]
    if both:
        raise ImportError(
            f'{both[0]} and onedl-{both[0]} are both installed, in the same folder. '
            'Make a new environment with only one of them: '
            "pip install 'mmimbal[openmmlab,lite]' or pip install 'mmimbal[onedl]'"
        )
    missing = [name for name in OPENMMLAB if name not in importable]
    if missing == ['mmcv'] and 'onedl-mmengine' not in installed:
        raise ImportError(
            'mmimbal needs mmcv. Install mmcv-lite, which is enough for '
            "classification (pip install 'mmimbal[lite]'), or the full mmcv "
            '(https://mmcv.readthedocs.io). Never install both: they share a folder.'
        )
    if missing:
        raise ImportError(
            f'mmimbal needs OpenMMLab, but {", ".join(missing)} cannot be imported. '
            'Install either the releases of OpenMMLab '
            "(pip install 'mmimbal[openmmlab,lite]') or the maintained fork "
            "(pip install 'mmimbal[onedl]')"
        )


def check_requirements() -> None:
    """Check that torch is safe, and that one build of OpenMMLab is installed."""
    if find_spec('torch') is None:
        raise ImportError('mmimbal needs torch: https://pytorch.org/get-started')
    check_torch(version('torch'))
    lines = [f'{line}{name}' for line in ('', 'onedl-') for name in OPENMMLAB]
    check_openmmlab(
        [name for name in OPENMMLAB if find_spec(name)],
        [name for name in lines if _is_installed(name)],
    )


def _is_installed(distribution: str) -> bool:
    try:
        return bool(version(distribution))
    except PackageNotFoundError:
        return False
