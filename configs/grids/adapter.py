# Metric learning on features of a frozen backbone, beside the fine-tuned net.
_base_ = '../_base_/grids/pretrained.py'

title = 'Adapters on frozen ImageNet features'
notes = (
    'ISIC 2018, MobileNetV2, 96 px. The backbone of imagenet and of the adapters is as '
    'the package brings it; fine_tuned trains the whole net. Learning rate, ratio and '
    'losses of the adapters were chosen on validation images of fold 0, by the mean '
    'over the three ways of stage 2. Then this file was written, and run.'
)
profile = 'adapter'
plug_in = [('adapter_bcl_balanced', 'control'), ('adapter_triplet', 'adapter_ce')]
folds = [0, 1, 2, 3, 4]
seeds = [0]
datasets = dict(_delete_=True, isic2018=dict())
_stage2 = dict(stage2=['nearest_mean', 'crt', 'cosine'])
methods = dict(
    imagenet=dict(_base_._imagenet, profile='pretrained', **_stage2),
    adapter_ce=dict(stage1='ce', **_stage2),
    adapter_triplet=dict(stage1='triplet', metric=True, **_stage2),
    adapter_bcl_balanced=dict(
        stage1='bcl_balanced', options=_base_._pk, metric=True, **_stage2
    ),
    # The batches and the cross-entropy of the row above, without its metric loss.
    control=dict(
        stage1='bcl_balanced',
        options={**_base_._pk, 'model.head.metric_weight': 0.0},
        **_stage2,
    ),
    fine_tuned=dict(stage1='ce', profile='pretrained', **_stage2),
)
