# The recommended recipe, not chosen yet. It is bcl_views until the screening and the
# tuning from ImageNet weights have ended (configs/grids/screening_pretrained.py).
_base_ = 'bcl_views.py'
