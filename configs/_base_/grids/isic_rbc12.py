# Both data sets at 64 px, in as many steps, and recipes of stage 1, for grids.
datasets = dict(
    isic2018=dict(),
    rbc12=dict(
        bases=['datasets/isic2018_64px=datasets/rbc12_64px'],
        # Twice the images.
        options={'train_cfg.max_epochs': 20, 'param_scheduler.1.T_max': 20},
    ),
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
_supcon = 'isic/stage1_supcon_balanced_64px.py'
_bcl = 'isic/stage1_bcl_balanced_64px.py'
_recipes = dict(
    ce=dict(config='isic/stage1_ce_64px.py'),
    ce_mixed=dict(
        config=_supcon,
        bases=['stage1/supcon_balanced=stage1/ce_mixed'],
        options=_pk,
    ),
    # The balanced recipes without their metric loss.
    no_metric_loss=dict(
        config=_supcon,
        options={**_pk, 'model.head.metric_weight': 0.0},
    ),
    class_centre=dict(
        config='isic/stage1_class_centre_64px.py',
        dataset_options=dict(rbc12={'model.head.metric_loss.balanced_epochs': 5}),
        metric=True,
    ),
    triplet_balanced=dict(
        config=_supcon,
        bases=['stage1/supcon_balanced=stage1/triplet_balanced'],
        options=_pk,
        metric=True,
    ),
    supcon_balanced=dict(config=_supcon, options=_pk, metric=True),
    bcl_balanced=dict(config=_bcl, options=_pk, metric=True),
    bcl_balanced_weight1=dict(
        config=_bcl, options={**_pk, 'model.head.metric_weight': 1.0}, metric=True
    ),
)
