# Circle loss: each pair has its own weight (arXiv:2002.10857). Gamma makes the loss
# large: hence the small weight.
head = dict(
    type='mmimbal.MetricLearningClsHead',
    metric_weight=0.05,
    metric_loss=dict(type='mmimbal.CircleLoss', m=0.4, gamma=80),
)
