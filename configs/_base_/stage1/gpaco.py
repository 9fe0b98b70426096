# Parametric contrastive learning with class centres and a queue (GPaCo,
# arXiv:2209.12400) of two views, on a projection, with logit-adjusted cross-entropy.
head = dict(
    type='mmimbal.MetricLearningClsHead',
    embedding_size=128,
    metric_loss=dict(type='mmimbal.ParametricContrastiveLoss', queue_size=1024),
    loss=dict(type='mmimbal.LogitAdjustmentLoss'),
)
views = dict(type='MultiView', num_views=2)
