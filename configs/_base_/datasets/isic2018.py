# ISIC 2018 task 3 (HAM10000): 10,015 dermatoscopic images of 7 diagnoses.
classes = ('akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc')
num_classes = len(classes)
data_root = '{{$MMIMBAL_DATA:data}}/isic2018'
groups = dict(head=['nv'], medium=['mel', 'bkl', 'bcc', 'akiec'], tail=['vasc', 'df'])

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
