# Logit adjustment after training (arXiv:2007.07314).
_base_ = '../schedules/stage2_fit.py'

stage2_head = dict(type='mmimbal.LogitAdjustedClsHead', tau=1.0)
