# All triplets of a projection of 128 images as they come and 64 of all classes alike;
# logit-adjusted cross-entropy (arXiv:2007.07314) sees the former.
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
