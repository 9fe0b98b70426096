# Cross-entropy alone, with Mixup (arXiv:1710.09412).
head = dict(type='LinearClsHead')
batch_augments = dict(type='Mixup', alpha=0.2)
