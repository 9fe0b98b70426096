# Range loss (arXiv:1611.08976), the largest distances within classes and the smallest
# between them, on batches of P classes x 6 images.
head = dict(
    type='mmimbal.MetricLearningClsHead',
    metric_loss=dict(type='mmimbal.RangeLoss', k=2, margin=1.0),
)
batches = dict(batch_sampler=dict(type='mmimbal.PKBatchSampler', k=6))
