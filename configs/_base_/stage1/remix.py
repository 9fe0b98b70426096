# Mixup, with mixed images given to rare classes (Remix, arXiv:2007.03943).
# Differs: MMPretrain mixes the images, so that CutMix works too.
head = dict(type='LinearClsHead', loss=dict(type='mmimbal.RemixLoss'))
batch_augments = dict(type='Mixup', alpha=1.0)
