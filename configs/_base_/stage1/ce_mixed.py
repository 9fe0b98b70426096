# Cross-entropy alone, on partly class-balanced batches.
_base_ = '../batches/partly_balanced.py'

head = dict(type='LinearClsHead')
