# For grids: two data sets from ImageNet weights, with about equally many steps.
_base_ = 'one_core.py'

profile = 'pretrained'
datasets = dict(
    isic2018=dict(),
    # It has twice as many images, so half as many epochs.
    rbc12=dict(options={'train_cfg.max_epochs': 5, 'param_scheduler.1.T_max': 5}),
)

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
    supcon_views=dict(stage1='supcon_views', options=_base_._pk, metric=True),
    bcl_views=dict(stage1='bcl_views', options=_base_._pk, metric=True),
    # Control of both.
    views_control=dict(
        stage1='bcl_views', options={**_base_._pk, 'model.head.metric_weight': 0.0}
    ),
    bcl_views_mixup=dict(stage1='bcl_views_mixup', options=_base_._pk, metric=True),
    class_centre_views_mixup=dict(
        stage1='class_centre_views_mixup',
        options={**_base_._pk, 'model.head.metric_loss.balanced_epochs': 3},
        metric=True,
    ),
)
