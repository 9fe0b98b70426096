# What metric learning adds to two-stage training from ImageNet weights. Five grouped
# folds; each image is tested once. Written before any of its results on test.
_base_ = '../_base_/grids/pretrained.py'

title = 'Study from ImageNet weights'
notes = (
    'Aim, fixed beforehand: (a) the plug-in effect, recipe minus control and minus '
    'plain cross-entropy, is above 0 with its intervals, on both data sets and by both '
    'metrics; (b) the recipe with the stage 2 that validation chooses is at least 2.0 '
    'points of balanced accuracy above the choice of validation without metric '
    'learning, with an interval above 0, and its macro F1 is not lower. The recipe is '
    'SupCon on views, the best by the mean of both metrics of the rows of last_epoch, '
    'on validation images of fold 0 of ISIC 2018, which another fold tests on. There '
    'plain cross-entropy was the best row without a metric loss. Stage 2 starts from '
    'the last epoch of stage 1 in all rows.'
)
plug_in = [('recommended', 'control'), ('recommended', 'ce')]
folds = [0, 1, 2, 3, 4]
seeds = [0]
options = {'default_hooks.checkpoint.save_best': None}
_stage2 = dict(stage2='all')
methods = dict(
    recommended=dict(
        stage1='recommended', options=_base_._pk, metric=True, seeds=[0, 1], **_stage2
    ),
    control=dict(
        stage1='recommended',
        options={**_base_._pk, 'model.head.metric_weight': 0.0},
        seeds=[0, 1],
        **_stage2,
    ),
    ce=dict(stage1='ce', seeds=[0, 1], **_stage2),
    triplet=dict(stage1='triplet', metric=True, **_stage2),
    imagenet=dict(_base_._imagenet, **_stage2),
)
