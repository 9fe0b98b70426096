# A von Mises-Fisher distribution of the embeddings of each class (ProCo,
# arXiv:2403.06726), on a projection, with logit-adjusted cross-entropy.
head = dict(
    type='mmimbal.MetricLearningClsHead',
    embedding_size=128,
    metric_loss=dict(type='mmimbal.ProCoLoss', temperature=0.1),
    loss=dict(type='mmimbal.LogitAdjustmentLoss'),
)
