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

images = dict(
    type='mmimbal.CSVDataset', data_root=data_root, metainfo=dict(classes=classes)
)
loader = dict(num_workers=2, persistent_workers=True)
in_order = dict(type='DefaultSampler', shuffle=False)

train_dataloader = dict(
    loader,
    batch_size=64,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(images, split='train'),
)
val_dataloader = dict(
    loader,
    batch_size=128,
    sampler=in_order,
    dataset=dict(images, split='val', test_mode=True),
)
test_dataloader = dict(
    loader,
    batch_size=128,
    sampler=in_order,
    dataset=dict(images, split='test', test_mode=True),
)
val_evaluator = dict(type='mmimbal.ImbalanceMetric', groups=groups)
test_evaluator = val_evaluator
