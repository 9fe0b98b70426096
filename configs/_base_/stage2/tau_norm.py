# Stage 1's class weights, with more equal norms (arXiv:1910.09217).
_base_ = '../schedules/stage2_fit.py'

stage2_head = dict(type='mmimbal.TauNormClsHead', tau=0.7)
stage2_search = {'model.head.tau': [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0]}
