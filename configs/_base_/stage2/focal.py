# Focal loss weighted by effective number (arXiv:1901.05555).
_base_ = '../schedules/stage2_20e.py'

stage2_head = dict(
    type='LinearClsHead',
    loss=dict(type='mmimbal.ClassBalancedLoss', beta=0.999, gamma=2.0),
)
stage2_search = {'model.head.loss.gamma': [0.5, 1.0, 2.0]}
