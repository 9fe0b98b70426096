# Experts for common, all and rare classes (arXiv:2107.09249, arXiv:2206.05260).
# Differs: tau 2, not an inverse softmax, so that one loss serves all experts; no
# weights from test images, which may come one by one.
_base_ = '../schedules/stage2_20e.py'

stage2_head = dict(type='mmimbal.ExpertsClsHead', taus=[0.0, 1.0, 2.0])

by_name_only = True  # not one of --methods all, which the studies compare
