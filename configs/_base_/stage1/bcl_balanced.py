# Balanced contrastive learning (arXiv:2207.09052) on 128 natural and 64 class-balanced
# images. Logit-adjusted cross-entropy (arXiv:2007.07314) on the natural images only.
head = dict(
    type='mmimbal.BalancedContrastiveClsHead',
    embedding_size=128,
    metric_weight=0.35,
    metric_loss=dict(type='mmimbal.BalancedContrastiveLoss', temperature=0.1),
    natural_size=128,
    loss=dict(type='mmimbal.LogitAdjustmentLoss'),
)
batches = dict(
    batch_size=192,
    batch_sampler=dict(type='mmimbal.PKBatchSampler', k=4, natural_size=128),
)
