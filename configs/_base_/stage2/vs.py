# Logits scaled and shifted by class counts (arXiv:2103.01550).
_base_ = '../schedules/stage2_20e.py'

stage2_head = dict(
    type='LinearClsHead', loss=dict(type='mmimbal.VSLoss', gamma=0.15, tau=1.0)
)
stage2_search = {'model.head.loss.gamma': [0.05, 0.15, 0.3]}
