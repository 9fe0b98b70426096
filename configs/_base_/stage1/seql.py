# Softmax that mostly spares rare classes (SEQL, arXiv:2003.05176).
# Differs: rare is a share of 1 / K, so that one number fits any K.
head = dict(
    type='LinearClsHead',
    loss=dict(type='mmimbal.SoftmaxEqualizationLoss', rare=0.43, gamma=0.9),
)
