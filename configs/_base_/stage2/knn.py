# k nearest neighbours, with votes divided by count.
_base_ = '../schedules/stage2_fit.py'

stage2_head = dict(type='mmimbal.KNNClsHead', k=10)
stage2_search = {'model.head.k': [5, 10, 20, 50]}
