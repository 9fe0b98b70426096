# Logits plus the log prior, in the loss (arXiv:2007.07314).
_base_ = '../schedules/stage2_20e.py'

stage2_head = dict(
    type='LinearClsHead', loss=dict(type='mmimbal.LogitAdjustmentLoss', tau=1.0)
)
stage2_search = {'model.head.loss.tau': [0.5, 1.0, 1.5]}
