# The recommended recipe: the best of configs/grids/screening_pretrained.py.
_base_ = 'bcl_views.py'
