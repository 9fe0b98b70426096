# Views attract each other, fixed prototypes attract both (arXiv:2503.17024). For few
# classes. The log has sample_alignment and class_alignment.
# Differs: trained beside cross-entropy, so that any stage 2 can follow.
head = dict(
    type='mmimbal.ImageViewsClsHead',
    embedding_size=128,
    metric_loss=dict(type='mmimbal.SupervisedPrototypesLoss', temperature=0.1),
)
views = dict(type='MultiView', num_views=2)
