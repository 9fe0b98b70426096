# Cross-entropy alone on 128 images as they come and 64 of all classes alike.
head = dict(type='LinearClsHead')
batches = dict(
    batch_size=192,
    batch_sampler=dict(type='mmimbal.PKBatchSampler', k=4, natural_size=128),
)
