# Cosine logits, clouded more for rare classes (CVPR 2022).
_base_ = '../schedules/stage2_20e.py'

stage2_head = dict(
    type='mmimbal.CosineClsHead', scale=30.0, loss=dict(type='mmimbal.GCLLoss')
)
stage2_search = {'model.head.loss.noise': [0.0, 0.5, 1.0]}
