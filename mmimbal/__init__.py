"""Two-stage training on class-imbalanced images, as a plug-in for MMPretrain."""

from mmimbal.requirements import check_requirements

check_requirements()

from mmengine.config.utils import MODULE2PACKAGE  # noqa: E402

from mmimbal.engine.checkpoint import use_safe_loading  # noqa: E402
from mmimbal.version import __version__  # noqa: E402

MODULE2PACKAGE['mmimbal'] = 'mmimbal'  # for _base_ = 'mmimbal::...'
use_safe_loading()
