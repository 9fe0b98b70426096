# What leads on ISIC 2018, its control and cross-entropy, on RBC-12.
_base_ = 'last_epoch.py'

title = 'What leads on ISIC 2018, on RBC-12'
notes = (
    'Validation images of fold 0 of RBC-12, one seed. Stage 2 starts from the last '
    'epoch of stage 1; imagenet are the untouched features of the net.'
)
datasets = dict(
    _delete_=True,
    rbc12=dict(options={'train_cfg.max_epochs': 5, 'param_scheduler.1.T_max': 5}),
)
methods = {
    '_delete_': True,
    **{
        name: dict(_base_._rows[name], stage2='all')
        for name in ('imagenet', 'ce', 'supcon_views', 'views_control')
    },
}
