# Circle loss (arXiv:2002.10857); gamma makes it large beside cross-entropy.
head = dict(
    type='mmimbal.MetricLearningClsHead',
    metric_weight=0.05,
    metric_loss=dict(type='mmimbal.CircleLoss', m=0.4, gamma=80),
)
