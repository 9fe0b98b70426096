# Larger margins for rare classes, weights later (arXiv:1906.07413). Weights in the last
# fifth of the epochs.
_base_ = '../schedules/stage2_20e.py'

stage2_head = dict(
    type='mmimbal.CosineClsHead',
    scale=30.0,
    loss=dict(type='mmimbal.LDAMLoss', reweight_epoch=0.8),
)
stage2_search = {'model.head.loss.max_margin': [0.3, 0.5]}
