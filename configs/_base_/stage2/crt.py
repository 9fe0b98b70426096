# A new linear classifier on class-balanced batches (cRT, arXiv:1910.09217).
_base_ = '../schedules/stage2_balanced_20e.py'

stage2_head = dict(type='LinearClsHead')
