# Proxy anchor loss: classes attract and repel images (arXiv:2003.13911). Alpha makes
# the loss large: hence the small weight.
head = dict(
    type='mmimbal.MetricLearningClsHead',
    metric_weight=0.1,
    metric_loss=dict(type='mmimbal.ProxyAnchorLoss', margin=0.1, alpha=32),
)
