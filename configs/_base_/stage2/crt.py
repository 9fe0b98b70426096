# cRT (arXiv:1910.09217): a fresh linear classifier on class-balanced batches.
stage2_epochs = 20
stage2_head = dict(type='LinearClsHead')
stage2 = dict(
    train_dataloader=dict(
        sampler=dict(_delete_=True, type='mmimbal.ClassBalancedSampler')
    ),
    optim_wrapper=dict(
        optimizer=dict(
            _delete_=True, type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4
        )
    ),
    param_scheduler=[
        dict(type='CosineAnnealingLR', T_max=stage2_epochs, convert_to_iter_based=True)
    ],
)
