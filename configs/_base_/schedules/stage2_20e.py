# Trains a new head on frozen features, with natural batches. stage2_search holds the
# values that tools/stage2_sweep.py tries, with keys as in --cfg-options.
stage2_epochs = 20
stage2_train_cfg = dict(max_epochs=stage2_epochs)
stage2 = dict(
    train_dataloader=dict(),
    optim_wrapper=dict(
        optimizer=dict(
            _delete_=True, type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4
        )
    ),
    param_scheduler=[
        dict(type='CosineAnnealingLR', T_max=stage2_epochs, convert_to_iter_based=True)
    ],
)
stage2_search = {'optim_wrapper.optimizer.lr': [0.004, 0.02, 0.1, 0.5]}
