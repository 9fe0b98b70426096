# Learning rates for the best rows of screening_pretrained, and which cross-entropy goes
# with SupCon on views.
_base_ = '../_base_/grids/pretrained.py'

title = 'Second round from ImageNet weights'
notes = (
    'Validation images of fold 0 of ISIC 2018, and the eight ways of stage 2 that take '
    'least time. In the screening, SupCon on views was far above its control, but '
    'logit-adjusted cross-entropy on natural batches was far below cross-entropy. So '
    'SupCon is also tried with plain cross-entropy ("plain"). The usual learning rate '
    'is 0.02. Rows that were in the screening were trained again, on another device: '
    'two trainings of the same row differ as much as two rows do.'
)
judged_on = 'val'
folds = [0]
seeds = [0]
datasets = dict(_delete_=True, isic2018=dict())

_plain = {**_base_._pk, 'model.head.loss.type': 'CrossEntropyLoss'}
_mixup = dict(stage1='supcon_views_mixup', metric=True)
_rows = dict(
    imagenet=_base_._imagenet,
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
_rates = dict(
    lr_01=(0.01, ['ce', 'supcon_plain', 'class_centre', 'mixup']),
    lr_04=(0.04, ['ce', 'supcon_plain']),
)
_tuned = {
    f'{name}_{word}': {
        **_rows[name],
        'options': {
            **_rows[name].get('options', {}),
            'optim_wrapper.optimizer.lr': rate,
        },
    }
    for word, (rate, names) in _rates.items()
    for name in names
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
