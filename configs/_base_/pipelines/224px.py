# Every image is first resized to a square. The test crop has the average scale of the
# training crops, so that objects have the same size in both.
load = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(320, 320), backend='pillow'),
]
augment = [
    dict(type='RandomResizedCrop', scale=224, crop_ratio_range=(0.5, 1.0)),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='ColorJitter', brightness=0.2, contrast=0.2, saturation=0.2),
]
# For X-rays: no vertical flips, and no changes of colour.
upright_augment = [
    *augment[:-2],
    dict(type='ColorJitter', brightness=0.2, contrast=0.2),
]
pack = dict(type='PackInputs')

train_pipeline = [*load, *augment, pack]
test_pipeline = [
    load[0],
    dict(type='Resize', scale=(268, 268), backend='pillow'),
    dict(type='CenterCrop', crop_size=224),
    pack,
]
