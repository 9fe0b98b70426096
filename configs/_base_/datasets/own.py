# Your own images, written to data/own by tools/prepare_dataset.py. Set num_classes.
# Class names are in data/own/dataset.json.
num_classes = 3
data_root = '{{$MMIMBAL_DATA:data}}/own'

images = dict(data_root=data_root)
val_evaluator = dict(type='mmimbal.ImbalanceMetric')
test_evaluator = val_evaluator
