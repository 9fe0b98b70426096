# ISIC 2018 task 3 (HAM10000): 10,015 dermatoscopic images of 7 diagnoses.
classes = ('akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc')
num_classes = len(classes)
data_root = '{{$MMIMBAL_DATA:data}}/isic2018'
groups = dict(
    head=['nv'], medium=['mel', 'bkl', 'bcc', 'akiec'], tail=['vasc', 'df']
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
