# Search for recipes of stage 1, on validation images of one fold only.
_base_ = '../_base_/grids/isic_rbc12.py'

title = 'Screening'
judged_on = 'val'
folds = [0]
seeds = [0, 1]
_stage2 = [
    'balanced_softmax',
    'cosine',
    'crt',
    'disalign',
    'label_aware_smoothing',
    'nearest_mean',
    'posthoc_logit_adjustment',
]
methods = {
    name: dict(recipe, stage2=_stage2) for name, recipe in _base_._recipes.items()
}
