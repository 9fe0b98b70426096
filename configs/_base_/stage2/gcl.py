# Gaussian clouded logit adjustment (CVPR 2022).
_base_ = '../schedules/stage2_20e.py'

stage2_head = dict(
    type='mmimbal.CosineClsHead', scale=1.0, loss=dict(type='mmimbal.GCLLoss')
)
