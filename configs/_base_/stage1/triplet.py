# Cross-entropy and a triplet loss over all triplets (arXiv:1703.07737).
head = dict(
    type='mmimbal.MetricLearningClsHead',
    metric_loss=dict(
        type='mmimbal.BatchAllTripletLoss',
        margin=0.2,
        distance=dict(type='mmimbal.CosineSimilarity'),
    ),
)
