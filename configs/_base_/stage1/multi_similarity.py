# Multi-similarity loss with its miner of pairs (arXiv:1904.06627).
head = dict(
    type='mmimbal.MetricLearningClsHead',
    metric_loss=dict(type='mmimbal.MultiSimilarityLoss'),
    miner=dict(type='mmimbal.MultiSimilarityMiner'),
)
