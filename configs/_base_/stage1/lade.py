# Disentangles logits from the training label distribution (LADE, arXiv:2012.00321).
# Differs: weights have the prior of the image's class, as in the paper.
head = dict(type='LinearClsHead', loss=dict(type='mmimbal.LADELoss', alpha=0.1))
