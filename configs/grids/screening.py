# Recipes of stage 1, looked for on one fold, by validation images alone.
_base_ = '../_base_/grids/isic_rbc12.py'

title = 'Screening'
judged_on = 'val'
folds = [0]
seeds = [0]
_stage2 = [
    'balanced_softmax',
    'cosine',
    'crt',
    'disalign',
    'label_aware_smoothing',
    'nearest_mean',
    'posthoc_logit_adjustment',
]
_adjusted = {'model.head.loss.type': 'mmimbal.LogitAdjustmentLoss'}
_supcon = dict(
    config='isic/stage1_supcon_balanced_64px.py', stage2=_stage2, metric=True
)
methods = dict(
    ce=dict(config='isic/stage1_ce_64px.py', stage2=_stage2),
    supcon_balanced=_supcon,
    bcl_balanced=dict(
        config='isic/stage1_bcl_balanced_64px.py', stage2=_stage2, metric=True
    ),
    supcon_balanced_adjusted=dict(_supcon, options=_adjusted),
    ce_adjusted=dict(config='isic/one_stage_balanced_softmax_64px.py', stage2=_stage2),
    supcon_balanced_weight03=dict(_supcon, options={'model.head.metric_weight': 0.3}),
)
