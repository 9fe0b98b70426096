# Centre loss with learned centres (Wen et al., ECCV 2016), on the features.
head = dict(
    type='mmimbal.MetricLearningClsHead',
    metric_weight=0.01,
    metric_loss=dict(type='mmimbal.CentreLoss', centre_rate=50.0),
)
