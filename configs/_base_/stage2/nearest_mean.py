# The class with the nearest mean (arXiv:1910.09217).
_base_ = '../schedules/stage2_fit.py'

stage2_head = dict(type='mmimbal.NearestMeanClsHead')
