# SupCon on views of its own (arXiv:2004.11362).
_base_ = 'bcl_views.py'

head = dict(
    _delete_=True,
    type='mmimbal.MetricLearningClsHead',
    embedding_size=128,
    metric_loss=dict(type='mmimbal.SupConLoss', temperature=0.1),
    separate_views=True,
    loss=dict(type='mmimbal.LogitAdjustmentLoss'),
)
