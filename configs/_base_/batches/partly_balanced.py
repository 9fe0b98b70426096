# Batches of 128 natural and, after them, 64 class-balanced images.
batches = dict(
    batch_size=192,
    batch_sampler=dict(type='mmimbal.PKBatchSampler', k=4, natural_size=128),
)
