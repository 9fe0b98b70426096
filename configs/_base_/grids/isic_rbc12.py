# Both data sets at 64 px, in as many steps, and recipes of stage 1, for grids.
profile = '64px'
datasets = dict(
    isic2018=dict(),
    # Twice the images.
    rbc12=dict(options={'train_cfg.max_epochs': 20, 'param_scheduler.1.T_max': 20}),
)
flags = ['--amp']
# One core for each run; what is read again and again is decoded once. RBC-12's first
# fold would end each epoch on a batch of 2 images; PKBatchSampler fills its last batch.
options = {
    'train_dataloader.dataset.cache': 'work_dirs/decoded',
    'train_dataloader.num_workers': 0,
    'train_dataloader.drop_last': True,
    'val_dataloader.dataset.cache': 'work_dirs/decoded',
    'val_dataloader.num_workers': 0,
    'val_dataloader.persistent_workers': False,
}

_pk = {'train_dataloader.drop_last': False}
_recipes = dict(
    ce=dict(stage1='ce'),
    ce_mixed=dict(stage1='ce_mixed', options=_pk),
    # The balanced recipes without their metric loss.
    no_metric_loss=dict(
        stage1='supcon_balanced', options={**_pk, 'model.head.metric_weight': 0.0}
    ),
    class_centre=dict(
        stage1='class_centre',
        dataset_options=dict(rbc12={'model.head.metric_loss.balanced_epochs': 5}),
        metric=True,
    ),
    triplet_balanced=dict(stage1='triplet_balanced', options=_pk, metric=True),
    supcon_balanced=dict(stage1='supcon_balanced', options=_pk, metric=True),
    bcl_balanced=dict(stage1='bcl_balanced', options=_pk, metric=True),
    bcl_balanced_weight1=dict(
        stage1='bcl_balanced',
        options={**_pk, 'model.head.metric_weight': 1.0},
        metric=True,
    ),
)
