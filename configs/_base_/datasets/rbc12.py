# Chula RBC-12: 21,054 crops of red blood cells, 12 morphologies.
classes = (
    'normal',
    'macrocyte',
    'microcyte',
    'spherocyte',
    'target_cell',
    'stomatocyte',
    'ovalocyte',
    'teardrop',
    'burr_cell',
    'schistocyte',
    'uncategorised',
    'hypochromia',
)
num_classes = len(classes)
data_root = '{{$MMIMBAL_DATA:data}}/rbc12'
groups = dict(
    head=['normal', 'spherocyte', 'target_cell', 'ovalocyte', 'stomatocyte'],
    medium=['hypochromia', 'schistocyte', 'burr_cell', 'macrocyte'],
    tail=['microcyte', 'teardrop', 'uncategorised'],
)

train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmimbal.CSVDataset',
        data_root=data_root,
        split='train',
        metainfo=dict(classes=classes),
    ),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=2,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmimbal.CSVDataset',
        data_root=data_root,
        split='val',
        metainfo=dict(classes=classes),
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=128,
    num_workers=2,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmimbal.CSVDataset',
        data_root=data_root,
        split='test',
        metainfo=dict(classes=classes),
        test_mode=True,
    ),
)
val_evaluator = dict(type='mmimbal.ImbalanceMetric', groups=groups)
test_evaluator = val_evaluator
