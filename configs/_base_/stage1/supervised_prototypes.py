# Two views attract each other, and a fixed prototype of the class attracts both, for
# few classes (arXiv:2503.17024). The log has sample_alignment and class_alignment.
head = dict(
    type='mmimbal.ImageViewsClsHead',
    embedding_size=128,
    metric_loss=dict(type='mmimbal.SupervisedPrototypesLoss', temperature=0.1),
)
views = dict(type='MultiView', num_views=2)
