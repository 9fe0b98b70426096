# A cosine classifier (arXiv:1910.09217) that begins with the class means, on
# class-balanced batches.
_base_ = '../schedules/stage2_20e.py'

stage2_head = dict(type='mmimbal.CosineMeansClsHead')
stage2 = dict(
    train_dataloader=dict(
        sampler=dict(_delete_=True, type='mmimbal.ClassBalancedSampler')
    )
)
stage2_search = {'model.head.scale': [8.0, 16.0, 32.0]}

by_name_only = True  # not one of --methods all, which the studies compare
