# The recommended recipe: the best one of configs/grids/screening_pretrained.py.
_base_ = 'bcl_views.py'
