# As bcl_views, cross-entropy sees mixed images (Mixup, arXiv:1710.09412).
_base_ = 'bcl_views.py'

batch_augments = dict(type='Mixup', alpha=0.2)
