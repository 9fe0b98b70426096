# For grids: two data sets at 64 px with about equally many steps; recipes of stage 1.
_base_ = 'one_core.py'

profile = '64px'
datasets = dict(
    isic2018=dict(),
    # It has twice as many images, so half as many epochs.
    rbc12=dict(options={'train_cfg.max_epochs': 20, 'param_scheduler.1.T_max': 20}),
)
flags = ['--amp']

_recipes = dict(
    ce=dict(stage1='ce'),
    ce_mixed=dict(stage1='ce_mixed', options=_base_._pk),
    # Control: the balanced recipes with metric weight 0.
    no_metric_loss=dict(
        stage1='supcon_balanced',
        options={**_base_._pk, 'model.head.metric_weight': 0.0},
    ),
    class_centre=dict(
        stage1='class_centre',
        dataset_options=dict(rbc12={'model.head.metric_loss.balanced_epochs': 5}),
        metric=True,
    ),
    triplet_balanced=dict(stage1='triplet_balanced', options=_base_._pk, metric=True),
    supcon_balanced=dict(stage1='supcon_balanced', options=_base_._pk, metric=True),
    bcl_balanced=dict(stage1='bcl_balanced', options=_base_._pk, metric=True),
    bcl_balanced_weight1=dict(
        stage1='bcl_balanced',
        options={**_base_._pk, 'model.head.metric_weight': 1.0},
        metric=True,
    ),
)
