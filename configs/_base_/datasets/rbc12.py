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

images = dict(data_root=data_root, metainfo=dict(classes=classes))
val_evaluator = dict(type='mmimbal.ImbalanceMetric', groups=groups)
test_evaluator = val_evaluator
