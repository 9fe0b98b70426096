# A triplet loss on batches of P classes x 6 images.
head = dict(
    type='mmimbal.MetricLearningClsHead',
    metric_loss=dict(
        type='mmimbal.BatchAllTripletLoss',
        margin=0.2,
        distance=dict(type='mmimbal.CosineSimilarity'),
    ),
)
batches = dict(batch_sampler=dict(type='mmimbal.PKBatchSampler', k=6))
