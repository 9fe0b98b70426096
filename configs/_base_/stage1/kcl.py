# Six positives for each image, whatever its class (KCL, ICLR 2021), of two views, on a
# projection.
head = dict(
    type='mmimbal.ImageViewsClsHead',
    embedding_size=128,
    metric_loss=dict(type='mmimbal.KPositivesLoss', k=6, temperature=0.1),
)
views = dict(type='MultiView', num_views=2)
