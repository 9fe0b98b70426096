# Logits minus the log prior, after training (arXiv:2007.07314).
_base_ = '../schedules/stage2_fit.py'

stage2_head = dict(type='mmimbal.LogitAdjustedClsHead', tau=1.0)
stage2_search = {'model.head.tau': [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0]}
