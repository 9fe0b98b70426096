# SupCon on partly class-balanced batches (arXiv:2004.11362). Logit-adjusted
# cross-entropy (arXiv:2007.07314) sees only the natural images.
_base_ = '../batches/partly_balanced.py'

head = dict(
    type='mmimbal.MetricLearningClsHead',
    embedding_size=128,
    metric_loss=dict(type='mmimbal.SupConLoss', temperature=0.1),
    natural_size=128,
    loss=dict(type='mmimbal.LogitAdjustmentLoss'),
)
