# Cross-entropy alone, on 128 natural and 64 class-balanced images.
head = dict(type='LinearClsHead')
batches = dict(
    batch_size=192,
    batch_sampler=dict(type='mmimbal.PKBatchSampler', k=4, natural_size=128),
)
