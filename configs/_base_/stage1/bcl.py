# Balanced contrastive learning of two views (arXiv:2207.09052). On a projection, with
# logit-adjusted cross-entropy.
# Differs: both losses see both views, which costs less than a third view.
head = dict(
    type='mmimbal.BalancedContrastiveClsHead',
    embedding_size=128,
    metric_weight=0.35,
    metric_loss=dict(type='mmimbal.BalancedContrastiveLoss', temperature=0.1),
    loss=dict(type='mmimbal.LogitAdjustmentLoss'),
)
views = dict(type='MultiView', num_views=2)
