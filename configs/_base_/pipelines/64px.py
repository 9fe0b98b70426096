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

loader = dict(num_workers=2, persistent_workers=True)
held_out = dict(
    loader, batch_size=128, sampler=dict(type='DefaultSampler', shuffle=False)
)
train_dataloader = dict(
    loader,
    batch_size=128,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='mmimbal.CSVDataset', split='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    held_out,
    dataset=dict(
        type='mmimbal.CSVDataset', split='val', pipeline=test_pipeline, test_mode=True
    ),
)
test_dataloader = dict(
    held_out,
    dataset=dict(
        type='mmimbal.CSVDataset', split='test', pipeline=test_pipeline, test_mode=True
    ),
)
