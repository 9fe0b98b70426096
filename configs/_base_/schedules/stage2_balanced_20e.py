# As stage2_20e, on class-balanced batches.
_base_ = 'stage2_20e.py'

stage2 = dict(
    train_dataloader=dict(
        sampler=dict(_delete_=True, type='mmimbal.ClassBalancedSampler')
    )
)
