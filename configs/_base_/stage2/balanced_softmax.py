# Cross-entropy with class counts in the softmax (arXiv:2007.10740).
_base_ = '../schedules/stage2_20e.py'

stage2_head = dict(type='LinearClsHead', loss=dict(type='mmimbal.BalancedSoftmaxLoss'))
