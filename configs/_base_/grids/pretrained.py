# For grids: two data sets from ImageNet weights, with about equally many steps.
profile = 'pretrained'
datasets = dict(
    isic2018=dict(),
    # It has twice as many images, so half as many epochs.
    rbc12=dict(options={'train_cfg.max_epochs': 5, 'param_scheduler.1.T_max': 5}),
)
# Each run has one core; images are decoded only once. drop_last: the last batch of fold
# 0 of RBC-12 would have 2 images. Not for a batch sampler, whose last batch is full.
options = {
    'train_dataloader.dataset.cache': 'work_dirs/decoded',
    'train_dataloader.num_workers': 0,
    'train_dataloader.drop_last': True,
    'val_dataloader.dataset.cache': 'work_dirs/decoded',
    'val_dataloader.num_workers': 0,
    'val_dataloader.persistent_workers': False,
}

_pk = {'train_dataloader.drop_last': False}
# Untouched ImageNet features, for all ways of stage 2.
_imagenet = dict(
    stage1='frozen', options={'train_cfg.max_epochs': 1, 'param_scheduler.1.T_max': 1}
)
_recipes = dict(
    imagenet=_imagenet,
    ce=dict(stage1='ce'),
    balanced_softmax=dict(one_stage='balanced_softmax'),
    randaugment=dict(stage1='ce_randaugment'),
    mixup=dict(stage1='ce_mixup'),
    randaugment_mixup=dict(stage1='ce_randaugment_mixup'),
    triplet=dict(stage1='triplet', metric=True),
    class_centre=dict(
        stage1='class_centre',
        options={'model.head.metric_loss.balanced_epochs': 3},
        metric=True,
    ),
    supcon_views=dict(stage1='supcon_views', options=_pk, metric=True),
    bcl_views=dict(stage1='bcl_views', options=_pk, metric=True),
    # Control of both.
    views_control=dict(
        stage1='bcl_views', options={**_pk, 'model.head.metric_weight': 0.0}
    ),
    bcl_views_mixup=dict(stage1='bcl_views_mixup', options=_pk, metric=True),
    class_centre_views_mixup=dict(
        stage1='class_centre_views_mixup',
        options={**_pk, 'model.head.metric_loss.balanced_epochs': 3},
        metric=True,
    ),
)
