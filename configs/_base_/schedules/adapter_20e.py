# For an adapter on cached features of a frozen backbone: seconds on a CPU.
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=3e-4, weight_decay=0.05))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=20, convert_to_iter_based=True),
]
train_cfg = dict(
    type='mmimbal.AdapterTrainLoop',
    max_epochs=20,
    val_interval=1,
    views=4,
    cache_dir='work_dirs/features',
)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=128)
