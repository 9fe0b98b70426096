# As 64px.py, for larger images.
load = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(120, 120), backend='pillow'),
]
augment = [
    dict(
        type='RandomResizedCrop',
        scale=96,
        crop_ratio_range=(0.7, 1.0),
        aspect_ratio_range=(0.9, 1.1),
    ),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
]
upright_augment = augment[:-1]  # no vertical flips
pack = dict(type='PackInputs')

train_pipeline = [*load, *augment, pack]
test_pipeline = [
    load[0],
    dict(type='Resize', scale=(105, 105), backend='pillow'),
    dict(type='CenterCrop', crop_size=96),
    pack,
]
