# Cross-entropy alone: the baseline.
head = dict(type='LinearClsHead')
