# The class-balanced images are views for the metric loss, two of each.
_base_ = 'partly_balanced.py'

batches = dict(batch_sampler=dict(separate_views=True))
views = dict(type='mmimbal.ViewsByLoss', metric_views=2)
