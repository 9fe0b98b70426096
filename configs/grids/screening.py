# Recipes of stage 1, looked for on one fold, by validation images alone.
title = 'Screening'
judged_on = 'val'
datasets = dict(
    isic2018=dict(),
    rbc12=dict(
        bases=['datasets/isic2018_64px=datasets/rbc12_64px'],
        # Twice the images: as many steps.
        options={'train_cfg.max_epochs': 20, 'param_scheduler.1.T_max': 20},
    ),
)
folds = [0]
seeds = [0]
flags = ['--amp']
options = {
    'train_dataloader.dataset.cache': 'ram',
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'val_dataloader.num_workers': 0,
    'val_dataloader.persistent_workers': False,
}
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
