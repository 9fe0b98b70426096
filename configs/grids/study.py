# Does metric learning help? Each image is tested once, on five grouped folds.
_base_ = '../_base_/grids/isic_rbc12.py'

title = 'Study'
folds = [0, 1, 2, 3, 4]
seeds = [0]
# RBC-12's first fold would end each epoch on a batch of 2 images. PKBatchSampler fills
# the last batch instead.
options = {'train_dataloader.drop_last': True}
_pk = {'train_dataloader.drop_last': False}
_adjusted = {'model.head.loss.type': 'mmimbal.LogitAdjustmentLoss'}
# What validation chose for cross-entropy's second stage on both data sets.
_weights = {'model.head.loss.beta': 0.9999}
_one_stage = dict(config='isic/one_stage_balanced_softmax_64px.py')
methods = dict(
    ce=dict(config='isic/stage1_ce_64px.py', stage2='all'),
    ce_balanced_sampling=dict(_one_stage, bases=['stage2/balanced_softmax=stage2/crt']),
    ce_reweighted=dict(
        _one_stage,
        bases=['stage2/balanced_softmax=stage2/class_balanced'],
        options=_weights,
    ),
    focal=dict(
        _one_stage,
        bases=['stage2/balanced_softmax=stage2/focal'],
        options={**_weights, 'model.head.loss.gamma': 1.0},
    ),
    ldam_drw=dict(
        _one_stage,
        bases=['stage2/balanced_softmax=stage2/ldam_drw'],
        options={'model.head.loss.reweight_epoch': 32},
        dataset_options=dict(rbc12={'model.head.loss.reweight_epoch': 16}),
    ),
    balanced_softmax=dict(_one_stage, stage2='all'),
    ce_mixed=dict(
        config='isic/stage1_supcon_balanced_64px.py',
        bases=['stage1/supcon_balanced=stage1/ce_mixed'],
        options=_pk,
        stage2='all',
    ),
    # supcon_balanced_adjusted and bcl_balanced_weight1 without their metric loss.
    no_metric_loss=dict(
        config='isic/stage1_supcon_balanced_64px.py',
        options={**_pk, **_adjusted, 'model.head.metric_weight': 0.0},
        stage2='all',
    ),
    mixup=dict(
        config='isic/stage1_ce_64px.py',
        options={
            'model.train_cfg.augments.type': 'Mixup',
            'model.train_cfg.augments.alpha': 0.2,
            'model.data_preprocessor.num_classes': 7,
        },
        dataset_options=dict(rbc12={'model.data_preprocessor.num_classes': 12}),
        stage2='all',
    ),
    class_centre=dict(
        config='isic/stage1_class_centre_64px.py',
        dataset_options=dict(rbc12={'model.head.metric_loss.balanced_epochs': 5}),
        stage2='all',
        metric=True,
    ),
    supcon_balanced_adjusted=dict(
        config='isic/stage1_supcon_balanced_64px.py',
        options={**_pk, **_adjusted},
        stage2='all',
        metric=True,
    ),
    bcl_balanced_weight1=dict(
        config='isic/stage1_bcl_balanced_64px.py',
        options={**_pk, 'model.head.metric_weight': 1.0},
        stage2='all',
        metric=True,
    ),
)
