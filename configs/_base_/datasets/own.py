# Images of your own, as tools/prepare_dataset.py leaves them in data/own: set how many
# classes there are. Their names are in the dataset.json beside them.
num_classes = 3
data_root = '{{$MMIMBAL_DATA:data}}/own'

images = dict(data_root=data_root)
val_evaluator = dict(type='mmimbal.ImbalanceMetric')
test_evaluator = val_evaluator
