# A cosine classifier on class-balanced batches (arXiv:1910.09217).
_base_ = '../schedules/stage2_20e.py'

stage2_head = dict(type='mmimbal.CosineClsHead')
stage2 = dict(
    train_dataloader=dict(
        sampler=dict(_delete_=True, type='mmimbal.ClassBalancedSampler')
    )
)
stage2_search = {'model.head.scale': [8.0, 16.0, 32.0]}
