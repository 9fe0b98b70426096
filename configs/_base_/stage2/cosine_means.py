# A cosine classifier that begins with class means (arXiv:1910.09217). On class-balanced
# batches.
# Differs: begins with class means, so that rare classes do not begin at random.
_base_ = '../schedules/stage2_balanced_20e.py'

stage2_head = dict(type='mmimbal.CosineMeansClsHead')
stage2_search = {'model.head.scale': [8.0, 16.0, 32.0]}

by_name_only = True  # not one of --methods all, which the studies compare
