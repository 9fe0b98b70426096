# ISIC 2019: 25,331 dermatoscopic images of 8 diagnoses.
classes = ('mel', 'nv', 'bcc', 'ak', 'bkl', 'df', 'vasc', 'scc')
num_classes = len(classes)
data_root = '{{$MMIMBAL_DATA:data}}/isic2019'
groups = dict(
    head=['nv'],
    medium=['mel', 'bcc', 'bkl'],
    tail=['ak', 'scc', 'vasc', 'df'],
)

images = dict(data_root=data_root, metainfo=dict(classes=classes))
val_evaluator = dict(type='mmimbal.ImbalanceMetric', groups=groups)
test_evaluator = val_evaluator
