"""Two-stage training on class-imbalanced images, as a plug-in for MMPretrain."""

from mmimbal.requirements import check_requirements

check_requirements()

from mmengine.config.utils import MODULE2PACKAGE  # noqa: E402

from mmimbal.version import __version__  # noqa: E402

# For _base_ = 'mmimbal::...'. mmengine looks up this module to find our folder; the
# name of the distribution would not work for an editable install.
MODULE2PACKAGE['mmimbal'] = 'mmimbal.registry'
