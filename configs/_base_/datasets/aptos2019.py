# APTOS 2019: 3,662 photographs of the retina in 5 grades.
classes = ('no_dr', 'mild', 'moderate', 'severe', 'proliferative')
num_classes = len(classes)
data_root = '{{$MMIMBAL_DATA:data}}/aptos2019'
groups = dict(
    head=['no_dr'],
    medium=['moderate', 'mild'],
    tail=['proliferative', 'severe'],
)

images = dict(data_root=data_root, metainfo=dict(classes=classes))
val_evaluator = dict(type='mmimbal.ImbalanceMetric', groups=groups)
test_evaluator = val_evaluator
