# Balanced contrastive learning on views of its own (arXiv:2207.09052). Logit-adjusted
# cross-entropy (arXiv:2007.07314) sees 128 natural images.
# Differs: the views are of 64 class-balanced images, for more pairs of rare classes.
_base_ = '../batches/views_of_balanced.py'

head = dict(
    type='mmimbal.BalancedContrastiveClsHead',
    embedding_size=128,
    metric_weight=0.35,
    metric_loss=dict(type='mmimbal.BalancedContrastiveLoss', temperature=0.1),
    separate_views=True,
    loss=dict(type='mmimbal.LogitAdjustmentLoss'),
)
