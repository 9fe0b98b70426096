# ArcFace: an angular margin for the true class (arXiv:1801.07698). Its scale makes the
# loss large: hence the small weight.
head = dict(
    type='mmimbal.MetricLearningClsHead',
    metric_weight=0.1,
    metric_loss=dict(type='mmimbal.ArcFaceLoss', margin=28.6, scale=64),
)
