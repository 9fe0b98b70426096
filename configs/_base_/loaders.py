# Of data sets on disk. Workers of training start afresh each epoch, so that their
# augmentations are those of the epoch.
stacked = dict(type='mmimbal.stack_images')
held_out = dict(
    collate_fn=stacked,
    num_workers=2,
    persistent_workers=True,
    batch_size=128,
    sampler=dict(type='DefaultSampler', shuffle=False),
)
train_dataloader = dict(
    collate_fn=stacked,
    num_workers=2,
    persistent_workers=False,
    batch_size=64,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='mmimbal.CSVDataset', split='train'),
)
val_dataloader = dict(
    held_out, dataset=dict(type='mmimbal.CSVDataset', split='val', test_mode=True)
)
test_dataloader = dict(
    held_out, dataset=dict(type='mmimbal.CSVDataset', split='test', test_mode=True)
)
