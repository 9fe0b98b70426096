# Supervised contrastive learning of two views (arXiv:2004.11362). On a projection.
head = dict(
    type='mmimbal.MetricLearningClsHead',
    embedding_size=128,
    metric_loss=dict(type='mmimbal.SupConLoss', temperature=0.1),
)
views = dict(type='MultiView', num_views=2)
