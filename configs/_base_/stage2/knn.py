# The nearest training images vote, each vote divided by the images of its class.
_base_ = '../schedules/stage2_fit.py'

stage2_head = dict(type='mmimbal.KNNClsHead', k=10)
stage2_search = {'model.head.k': [5, 10, 20, 50]}
