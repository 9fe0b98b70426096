# Range loss: narrow classes, with means far apart (arXiv:1611.08976).
# Differs: normalized embeddings, and means over classes, so that one weight fits any
# batch.
head = dict(
    type='mmimbal.MetricLearningClsHead',
    metric_loss=dict(type='mmimbal.RangeLoss', k=2, margin=1.0),
)
batches = dict(batch_sampler=dict(type='mmimbal.PKBatchSampler', k=6))
