# Learned scales of stage 1's class weights (arXiv:1910.09217).
_base_ = '../schedules/stage2_20e.py'

stage2_head = dict(type='mmimbal.LWSClsHead')
stage2 = dict(
    train_dataloader=dict(
        sampler=dict(_delete_=True, type='mmimbal.ClassBalancedSampler')
    )
)
