# Cross-entropy alone, with RandAugment (arXiv:1909.13719).
head = dict(type='LinearClsHead')
strong = [
    dict(
        type='RandAugment',
        policies='timm_increasing',
        num_policies=2,
        total_level=10,
        magnitude_level=9,
        magnitude_std=0.5,
    )
]
