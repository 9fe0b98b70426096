# Learning rate, weight decay and epochs of the best rows of screening_pretrained.
_base_ = '../_base_/grids/pretrained.py'

title = 'Tuning from ImageNet weights'
notes = (
    'Validation images of fold 0 of ISIC 2018, one seed. One number is changed at a '
    'time, the same for all rows; the usual ones are 0.02, 5e-4 and 10 epochs.'
)
judged_on = 'val'
folds = [0]
seeds = [0]
datasets = dict(_delete_=True, isic2018=dict())
_changes = dict(
    lr_01={'optim_wrapper.optimizer.lr': 0.01},
    lr_04={'optim_wrapper.optimizer.lr': 0.04},
    decay_5e5={'optim_wrapper.optimizer.weight_decay': 5e-5},
    epochs_15={'train_cfg.max_epochs': 15, 'param_scheduler.1.T_max': 15},
)
methods = {
    f'{name}_{change}': {
        **_base_._recipes[name],
        'options': {**_base_._recipes[name].get('options', {}), **options},
        'stage2': 'all',
    }
    for name in ('mixup', 'class_centre')
    for change, options in _changes.items()
}
