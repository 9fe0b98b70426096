# As bcl_balanced, with two views an image.
_base_ = 'bcl_balanced.py'

views = dict(type='MultiView', num_views=2)
