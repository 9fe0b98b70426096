# Equally many positives for each image (KCL, ICLR 2021).
# Differs: positives are of the batch, not of a queue, which needs a second net.
head = dict(
    type='mmimbal.ImageViewsClsHead',
    embedding_size=128,
    metric_loss=dict(type='mmimbal.KPositivesLoss', k=6, temperature=0.1),
)
views = dict(type='MultiView', num_views=2)
