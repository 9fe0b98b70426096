# Label distribution disentangling, LADE (arXiv:2012.00321).
head = dict(type='LinearClsHead', loss=dict(type='mmimbal.LADELoss', alpha=0.1))
