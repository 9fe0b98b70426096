# Triplet loss on partly class-balanced batches (arXiv:1703.07737). Logit-adjusted
# cross-entropy (arXiv:2007.07314) sees only the natural images.
_base_ = ['triplet.py', '../batches/partly_balanced.py']

head = dict(
    embedding_size=128,
    natural_size=128,
    loss=dict(type='mmimbal.LogitAdjustmentLoss'),
)
