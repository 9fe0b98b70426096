# Recipes of stage 1, looked for on one fold, by validation images alone. Those that
# were behind after the first seed have no second.
_base_ = '../_base_/grids/isic_rbc12.py'

title = 'Screening'
judged_on = 'val'
folds = [0]
seeds = [0]
_twice = [0, 1]
_stage2 = [
    'balanced_softmax',
    'cosine',
    'crt',
    'disalign',
    'label_aware_smoothing',
    'nearest_mean',
    'posthoc_logit_adjustment',
]
_ema = {'default_hooks.ema.type': 'EMAHook', 'default_hooks.ema.momentum': 0.002}
_adjusted = {'model.head.loss.type': 'mmimbal.LogitAdjustmentLoss'}
_ce = dict(config='isic/stage1_ce_64px.py', stage2=_stage2)
_centre = dict(config='isic/stage1_class_centre_64px.py', stage2=_stage2, metric=True)
_supcon = dict(
    config='isic/stage1_supcon_balanced_64px.py', stage2=_stage2, metric=True
)
_bcl = dict(config='isic/stage1_bcl_balanced_64px.py', stage2=_stage2, metric=True)
methods = dict(
    ce=_ce,
    ce_ema=dict(_ce, options=_ema),
    ce_adjusted=dict(config='isic/one_stage_balanced_softmax_64px.py', stage2=_stage2),
    ce_mixed=dict(
        config='isic/stage1_supcon_balanced_64px.py',
        bases=['stage1/supcon_balanced=stage1/ce_mixed'],
        stage2=_stage2,
        seeds=_twice,
    ),
    class_centre=_centre,
    class_centre_ema=dict(_centre, options=_ema),
    supcon_balanced=_supcon,
    supcon_balanced_ema=dict(_supcon, options=_ema),
    supcon_balanced_adjusted=dict(_supcon, options=_adjusted, seeds=_twice),
    supcon_memory=dict(
        config='isic/stage1_triplet_64px.py',
        bases=['stage1/triplet=stage1/supcon_memory'],
        stage2=_stage2,
        metric=True,
    ),
    bcl_balanced=dict(_bcl, seeds=_twice),
    bcl_balanced_weight1=dict(
        _bcl, options={'model.head.metric_weight': 1.0}, seeds=_twice
    ),
    bcl_balanced_views=dict(
        config='isic/stage1_bcl_balanced_views_64px.py', stage2=_stage2, metric=True
    ),
    triplet_balanced=dict(
        _supcon, bases=['stage1/supcon_balanced=stage1/triplet_balanced']
    ),
)
