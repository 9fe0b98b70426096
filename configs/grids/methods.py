# Every word of stage 1, and every word of stage 2, on Digits-LT: a smoke test.
title = 'All methods on Digits-LT'
notes = (
    'Digits-LT has 291 training images of 8 x 8 pixels, 2 of them of the rarest class. '
    'This run shows that all methods work together; it is no evidence for any of them.'
)
profile = 'digits'
datasets = dict(digits_lt=dict())
seeds = [0]
_plain = [
    'ce',
    'ce_mixed',
    'ce_mixup',
    'ce_randaugment',
    'ce_randaugment_mixup',
    'etf',
    'experts',
    'frozen',
    'lade',
    'max_norm',
    'remix',
    'seql',
]
_metric = [
    'arcface',
    'bcl',
    'bcl_balanced',
    'bcl_balanced_views',
    'bcl_views',
    'bcl_views_mixup',
    'centre',
    'circle',
    'class_centre',
    'class_centre_quadruplet',
    'class_centre_ranking',
    'class_centre_views_mixup',
    'gpaco',
    'kcl',
    'multi_similarity',
    'proco',
    'proxy_anchor',
    'range',
    'recommended',
    'supcon',
    'supcon_balanced',
    'supcon_memory',
    'supcon_views',
    'supcon_views_mixup',
    'supervised_prototypes',
    'triplet',
    'triplet_balanced',
    'triplet_pk',
    'tsc',
]
_stage2 = [
    'balanced_softmax',
    'causal',
    'class_balanced',
    'class_imbalance',
    'cosine',
    'cosine_means',
    'crt',
    'disalign',
    'experts',
    'focal',
    'gcl',
    'knn',
    'label_aware_smoothing',
    'ldam_drw',
    'logit_adjustment',
    'los',
    'lws',
    'max_norm',
    'nearest_mean',
    'posthoc_logit_adjustment',
    'tau_norm',
    'vs',
]
_few = ['crt', 'nearest_mean']  # all others are run on triplet alone
methods = {
    **{word: dict(stage1=word, stage2=_few) for word in _plain},
    **{word: dict(stage1=word, stage2=_few, metric=True) for word in _metric},
    'triplet': dict(stage1='triplet', stage2=_stage2, metric=True),
}
