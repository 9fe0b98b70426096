# What metric learning adds to two-stage training from ImageNet weights. Five grouped
# folds; each image is tested once. Written before any of its runs.
_base_ = '../_base_/grids/pretrained.py'

title = 'Study from ImageNet weights'
notes = (
    'Aim, fixed beforehand: (a) the plug-in effect, recipe minus control and minus '
    'plain cross-entropy, is above 0 with its intervals, on both data sets and by both '
    'metrics; (b) the recipe with the stage 2 that validation chooses is at least 2.0 '
    'points of balanced accuracy above the choice of validation without metric '
    'learning, with an interval above 0, and its macro F1 is not lower. The recipe was '
    'chosen on validation images of fold 0 of ISIC 2018, as the best of the rows of '
    'screening_pretrained. No run has used the test images of its own fold.'
)
plug_in = [('recommended', 'control'), ('recommended', 'ce')]
folds = [0, 1, 2, 3, 4]
seeds = [0]
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
    # To be replaced by the best row of the screening without a metric loss.
    mixup=dict(stage1='ce_mixup', **_stage2),
    triplet=dict(stage1='triplet', metric=True, **_stage2),
    imagenet=dict(_base_._imagenet, **_stage2),
)
