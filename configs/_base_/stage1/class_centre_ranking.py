# Class-centre ranking loss after a class-balanced phase (arXiv:2207.04793).
head = dict(
    type='mmimbal.MetricLearningClsHead',
    metric_loss=dict(
        type='mmimbal.ClassCentreRankingLoss', margin=0.2, balanced_epochs=0.25
    ),
)
