load = dict(type='LoadImageFromFile')
augment = [
    dict(type='RandomResizedCrop', scale=224, crop_ratio_range=(0.5, 1.0)),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='ColorJitter', brightness=0.2, contrast=0.2, saturation=0.2),
]
pack = dict(type='PackInputs')

train_pipeline = [load, *augment, pack]
two_view_pipeline = [
    load,
    dict(type='MultiView', num_views=2, transforms=[augment]),
    pack,
]
test_pipeline = [load, dict(type='Resize', scale=(224, 224)), pack]
