# ISIC 2018 task 3 (HAM10000): 10,015 dermatoscopic images of 7 diagnoses.
classes = ('akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc')
num_classes = len(classes)
data_root = '{{$MMIMBAL_DATA:data}}/isic2018'
groups = dict(head=['nv'], medium=['mel', 'bkl', 'bcc', 'akiec'], tail=['vasc', 'df'])

images = dict(data_root=data_root, metainfo=dict(classes=classes))
val_evaluator = dict(type='mmimbal.ImbalanceMetric', groups=groups)
test_evaluator = val_evaluator
