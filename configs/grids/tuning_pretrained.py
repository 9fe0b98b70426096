# Learning rate, weight decay and epochs of the best rows of screening_pretrained, and
# which loss for cross-entropy goes with SupCon on views.
_base_ = '../_base_/grids/pretrained.py'

title = 'Second round from ImageNet weights'
notes = (
    'Validation images of fold 0 of ISIC 2018, two seeds, and the eight ways of stage 2 '
    'that take least time. In the screening, SupCon on views was far above its control, '
    'but logit-adjusted cross-entropy on natural batches was far below cross-entropy. '
    'So SupCon is also tried with plain cross-entropy ("plain"). One number is changed '
    'at a time, the same for all rows; the usual ones are a rate of 0.02, a weight '
    'decay of 5e-4 and 10 epochs.'
)
judged_on = 'val'
folds = [0]
seeds = [0, 1]
datasets = dict(_delete_=True, isic2018=dict())
plug_in = [('supcon_plain', 'plain_control'), ('supcon_plain', 'ce')]

_plain = {**_base_._pk, 'model.head.loss.type': 'CrossEntropyLoss'}
_mixup = dict(stage1='supcon_views_mixup', metric=True)
_rows = dict(
    ce=_base_._recipes['ce'],
    supcon_plain=dict(stage1='supcon_views', options=_plain, metric=True),
    plain_control=dict(
        stage1='supcon_views', options={**_plain, 'model.head.metric_weight': 0.0}
    ),
    class_centre=_base_._recipes['class_centre'],
    supcon_plain_mixup=dict(_mixup, options=_plain),
    mixup=_base_._recipes['mixup'],
    supcon_views=_base_._recipes['supcon_views'],
    supcon_mixup=dict(_mixup, options=_base_._pk),
    bcl_plain=dict(stage1='bcl_views', options=_plain, metric=True),
    views_control=_base_._recipes['views_control'],
)
_changes = dict(
    lr_01={'optim_wrapper.optimizer.lr': 0.01},
    lr_04={'optim_wrapper.optimizer.lr': 0.04},
    epochs_15={'train_cfg.max_epochs': 15, 'param_scheduler.1.T_max': 15},
    decay_5e5={'optim_wrapper.optimizer.weight_decay': 5e-5},
)
_tuned = {
    f'{name}_{change}': {
        **_rows[name],
        'options': {**_rows[name].get('options', {}), **options},
    }
    for change, options in _changes.items()
    for name in ('ce', 'supcon_plain', 'class_centre', 'mixup')
}
_stage2 = [
    'crt',
    'lws',
    'label_aware_smoothing',
    'class_imbalance',
    'knn',
    'nearest_mean',
    'tau_norm',
    'posthoc_logit_adjustment',
]
methods = {name: dict(row, stage2=_stage2) for name, row in {**_rows, **_tuned}.items()}
