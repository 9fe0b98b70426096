# Kvasir v2: 8,000 endoscopic images of 8 classes, 1,000 each.
classes = (
    'dyed-lifted-polyps',
    'dyed-resection-margins',
    'esophagitis',
    'normal-cecum',
    'normal-pylorus',
    'normal-z-line',
    'polyps',
    'ulcerative-colitis',
)
num_classes = len(classes)
data_root = '{{$MMIMBAL_DATA:data}}/kvasir'

images = dict(data_root=data_root, metainfo=dict(classes=classes))
val_evaluator = dict(type='mmimbal.ImbalanceMetric')
test_evaluator = val_evaluator
