# Contrast with learned class centres and a queue (GPaCo, arXiv:2209.12400).
# Differs: no momentum encoder, which needs a second net, so that the queue takes all
# views; cross-entropy is trained too, so that its weight is free.
head = dict(
    type='mmimbal.ParametricContrastiveClsHead',
    embedding_size=128,
    metric_loss=dict(type='mmimbal.ParametricContrastiveLoss', queue_size=1024),
    loss=dict(type='mmimbal.LogitAdjustmentLoss'),
)
views = dict(type='MultiView', num_views=2)
