# Cross-entropy weighted by effective number (arXiv:1901.05555).
_base_ = '../schedules/stage2_20e.py'

stage2_head = dict(
    type='LinearClsHead', loss=dict(type='mmimbal.ClassBalancedLoss', beta=0.999)
)
stage2_search = {'model.head.loss.beta': [0.99, 0.999, 0.9999]}
