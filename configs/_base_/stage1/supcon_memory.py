# SupCon with a memory of each class (arXiv:2004.11362).
head = dict(
    type='mmimbal.MetricLearningClsHead',
    embedding_size=128,
    metric_loss=dict(
        type='mmimbal.ClassBalancedMemory',
        loss=dict(type='mmimbal.SupConLoss', temperature=0.1),
        slots=32,
    ),
)
