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

loader = dict(num_workers=2, persistent_workers=True)
held_out = dict(
    loader, batch_size=128, sampler=dict(type='DefaultSampler', shuffle=False)
)
train_dataloader = dict(
    loader,
    batch_size=64,
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
