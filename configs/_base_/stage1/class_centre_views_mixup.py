# Class-centre triplet loss on views, and Mixup (arXiv:2207.04793, arXiv:1710.09412).
# The metric loss sees one view of 64 class-balanced images, cross-entropy mixed images.
_base_ = ['class_centre.py', '../batches/views_of_balanced.py']

head = dict(separate_views=True)
views = dict(metric_views=1)
batch_augments = dict(type='Mixup', alpha=0.2)
