"""Two-stage training on class-imbalanced images, as a plug-in for MMPretrain."""

from mmimbal.requirements import check_requirements

check_requirements()

from mmengine.config.utils import MODULE2PACKAGE  # noqa: E402

from mmimbal.version import __version__  # noqa: E402

# For _base_ = 'mmimbal::...': by the name of a module, not of the distribution,
# mmengine finds the folder of an editable install too.
MODULE2PACKAGE['mmimbal'] = 'mmimbal.registry'
