# A fixed simplex as classifier, with dot regression (arXiv:2203.09081).
# Differs: a learned projection, because features after a ReLU are not negative.
head = dict(type='mmimbal.ETFClsHead', scale=16.0)
