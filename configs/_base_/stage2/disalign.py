# Logits of stage 1, calibrated for each image (arXiv:2103.16370).
_base_ = '../schedules/stage2_20e.py'

stage2_head = dict(
    type='mmimbal.DisAlignClsHead', loss=dict(type='mmimbal.PriorWeightedLoss', rho=1.5)
)
stage2_search = {'model.head.loss.rho': [0.8, 1.2, 1.5]}
