# Cross-entropy alone, with RandAugment (arXiv:1909.13719) and Mixup (arXiv:1710.09412).
_base_ = 'ce_randaugment.py'

batch_augments = dict(type='Mixup', alpha=0.2)
