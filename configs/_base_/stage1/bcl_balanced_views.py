# As bcl_balanced.py, with two views of each image.
_base_ = 'bcl_balanced.py'

views = dict(type='MultiView', num_views=2)
