# A fixed simplex as classifier, with dot regression (arXiv:2203.09081).
head = dict(
    type='mmimbal.ETFClsHead',
    scale=16.0,
    loss=dict(type='mmimbal.DotRegressionLoss', scale=16.0),
)
