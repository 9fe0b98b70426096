# PBC: 17,092 images of 8 kinds of blood cells.
classes = (
    'basophil',
    'eosinophil',
    'erythroblast',
    'ig',
    'lymphocyte',
    'monocyte',
    'neutrophil',
    'platelet',
)
num_classes = len(classes)
data_root = '{{$MMIMBAL_DATA:data}}/pbc'
groups = dict(
    head=['neutrophil', 'eosinophil', 'ig'],
    medium=['platelet', 'erythroblast'],
    tail=['monocyte', 'basophil', 'lymphocyte'],
)

images = dict(data_root=data_root, metainfo=dict(classes=classes))
val_evaluator = dict(type='mmimbal.ImbalanceMetric', groups=groups)
test_evaluator = val_evaluator
