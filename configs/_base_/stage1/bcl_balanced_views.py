# bcl_balanced with two views of each image.
_base_ = 'bcl_balanced.py'

views = dict(type='mmimbal.MultiViewDataPreprocessor')
