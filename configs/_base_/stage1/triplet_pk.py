# Triplet loss on P x K batches (arXiv:1703.07737).
head = dict(
    type='mmimbal.MetricLearningClsHead',
    metric_loss=dict(
        type='mmimbal.BatchAllTripletLoss',
        margin=0.2,
        distance=dict(type='mmimbal.CosineSimilarity'),
    ),
)
batches = dict(batch_sampler=dict(type='mmimbal.PKBatchSampler', k=6))
