# Balanced contrastive learning on partly class-balanced batches (arXiv:2207.09052).
# Logit-adjusted cross-entropy (arXiv:2007.07314) sees only the natural images.
# Differs: no second view; rare classes have partners by the batches.
_base_ = '../batches/partly_balanced.py'

head = dict(
    type='mmimbal.BalancedContrastiveClsHead',
    embedding_size=128,
    metric_weight=0.35,
    metric_loss=dict(type='mmimbal.BalancedContrastiveLoss', temperature=0.1),
    natural_size=128,
    loss=dict(type='mmimbal.LogitAdjustmentLoss'),
)
