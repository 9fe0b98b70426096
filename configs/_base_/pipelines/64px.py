# Gentle: a small net from scratch underfits under the augmentation of 224px.py.
load = dict(type='LoadImageFromFile')
augment = [
    dict(
        type='RandomResizedCrop',
        scale=64,
        crop_ratio_range=(0.7, 1.0),
        aspect_ratio_range=(1.0, 1.6),
    ),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
]
pack = dict(type='PackInputs')

train_pipeline = [load, *augment, pack]
two_view_pipeline = [
    load,
    dict(type='MultiView', num_views=2, transforms=[augment]),
    pack,
]
test_pipeline = [load, dict(type='Resize', scale=(64, 64)), pack]
