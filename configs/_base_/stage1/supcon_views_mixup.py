# SupCon on views, and Mixup (arXiv:2004.11362, arXiv:1710.09412).
_base_ = 'supcon_views.py'

batch_augments = dict(type='Mixup', alpha=0.2)
