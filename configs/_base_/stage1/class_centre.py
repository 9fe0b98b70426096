# Class-centre triplet loss after a class-balanced phase (arXiv:2207.04793).
head = dict(
    type='mmimbal.MetricLearningClsHead',
    metric_loss=dict(
        type='mmimbal.ClassCentreTripletLoss', margin=0.2, balanced_epochs=0.25
    ),
)
