# Triplet loss on a projection, over all triplets of 128 natural and 64 class-balanced
# images. Logit-adjusted cross-entropy (arXiv:2007.07314) on the natural images only.
head = dict(
    type='mmimbal.MetricLearningClsHead',
    embedding_size=128,
    metric_loss=dict(
        type='mmimbal.BatchAllTripletLoss',
        margin=0.2,
        distance=dict(type='mmimbal.CosineSimilarity'),
    ),
    natural_size=128,
    loss=dict(type='mmimbal.LogitAdjustmentLoss'),
)
batches = dict(
    batch_size=192,
    batch_sampler=dict(type='mmimbal.PKBatchSampler', k=4, natural_size=128),
)
