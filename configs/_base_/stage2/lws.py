# Learned scales of stage 1's class weights (arXiv:1910.09217).
_base_ = '../schedules/stage2_balanced_20e.py'

stage2_head = dict(type='mmimbal.LWSClsHead')
