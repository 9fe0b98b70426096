# Your own images, written to data/own by tools/prepare_dataset.py. Any other folder it
# has written, such as data/skin, is a word too, without a file here. The classes are
# those of its dataset.json.
num_classes = 3  # replaced by that of dataset.json
data_root = '{{$MMIMBAL_DATA:data}}/own'

images = dict(data_root=data_root)
val_evaluator = dict(type='mmimbal.ImbalanceMetric')
test_evaluator = val_evaluator
