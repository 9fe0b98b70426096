# Class-centre triplet loss (arXiv:2207.04793) on one view of 64 class-balanced images;
# cross-entropy sees mixed images (Mixup, arXiv:1710.09412).
_base_ = ['class_centre.py', '../batches/partly_balanced.py']

head = dict(separate_views=True)
batches = dict(batch_sampler=dict(separate_views=True))
views = dict(type='mmimbal.ViewsByLoss', metric_views=1)
batch_augments = dict(type='Mixup', alpha=0.2)
