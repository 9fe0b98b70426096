# Remix (arXiv:2007.03943), which is Mixup with mixed images given to the rare class.
head = dict(type='LinearClsHead', loss=dict(type='mmimbal.RemixLoss'))
batch_augments = dict(type='Mixup', alpha=1.0)
