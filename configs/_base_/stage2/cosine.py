# A cosine classifier on class-balanced batches (arXiv:1910.09217).
_base_ = '../schedules/stage2_balanced_20e.py'

stage2_head = dict(type='mmimbal.CosineClsHead')
stage2_search = {'model.head.scale': [8.0, 16.0, 32.0]}
