# Contrast with a distribution of each class (ProCo, arXiv:2403.06726). On a projection,
# with logit-adjusted cross-entropy.
# Differs: both losses see the same images, so that no view is needed.
head = dict(
    type='mmimbal.MetricLearningClsHead',
    embedding_size=128,
    metric_loss=dict(type='mmimbal.ProCoLoss', temperature=0.1),
    loss=dict(type='mmimbal.LogitAdjustmentLoss'),
)
