# Softmax equalization loss (arXiv:2003.05176), which mostly leaves rare classes out of
# the softmax of other images. For data with classes below 43% of a balanced share.
head = dict(
    type='LinearClsHead',
    loss=dict(type='mmimbal.SoftmaxEqualizationLoss', rare=0.43, gamma=0.9),
)
