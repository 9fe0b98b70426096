# Bounded class weights, and a larger weight decay (arXiv:2203.14197). Weights by
# effective number (arXiv:1901.05555).
_base_ = '../schedules/stage2_20e.py'

stage2_head = dict(
    type='mmimbal.MaxNormClsHead',
    max_norm=1.0,
    loss=dict(type='mmimbal.ClassBalancedLoss', beta=0.999),
)
stage2 = dict(optim_wrapper=dict(optimizer=dict(weight_decay=5e-3)))
stage2_search = {'optim_wrapper.optimizer.weight_decay': [5e-4, 5e-3, 5e-2]}

by_name_only = True  # not one of --methods all, which the studies compare
