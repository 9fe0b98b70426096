# Balanced contrastive learning (arXiv:2207.09052) on two mild views of 64
# class-balanced images. Logit-adjusted cross-entropy (arXiv:2007.07314) on 128 natural
# images with RandAugment (arXiv:1909.13719).
_base_ = 'ce_randaugment.py'

head = dict(
    _delete_=True,
    type='mmimbal.BalancedContrastiveClsHead',
    embedding_size=128,
    metric_loss=dict(type='mmimbal.BalancedContrastiveLoss', temperature=0.1),
    separate_views=True,
    loss=dict(type='mmimbal.LogitAdjustmentLoss'),
)
batches = dict(
    batch_size=192,
    batch_sampler=dict(
        type='mmimbal.PKBatchSampler', k=4, natural_size=128, separate_views=True
    ),
)
views = dict(type='mmimbal.ViewsByLoss', metric_views=2)
