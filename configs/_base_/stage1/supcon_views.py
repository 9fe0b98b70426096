# SupCon on views of its own (arXiv:2004.11362). Logit-adjusted cross-entropy
# (arXiv:2007.07314) sees 128 natural images.
_base_ = '../batches/views_of_balanced.py'

head = dict(
    type='mmimbal.MetricLearningClsHead',
    embedding_size=128,
    metric_loss=dict(type='mmimbal.SupConLoss', temperature=0.1),
    separate_views=True,
    loss=dict(type='mmimbal.LogitAdjustmentLoss'),
)
