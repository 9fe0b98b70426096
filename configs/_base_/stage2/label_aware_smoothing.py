# Labels of common classes are smoothed more (arXiv:2104.00466). For the shifted batch
# norm of the paper (MiSLAS), add --cfg-options default_hooks.two_stage.bn=updated; this
# does not work with cached features.
_base_ = '../schedules/stage2_balanced_20e.py'

stage2_head = dict(
    type='LinearClsHead', loss=dict(type='mmimbal.LabelAwareSmoothingLoss')
)
