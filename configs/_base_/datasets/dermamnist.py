# DermaMNIST of MedMNIST: 10,015 dermatoscopic images of 7 diagnoses. Class names are in
# dataset.json.
num_classes = 7
data_root = '{{$MMIMBAL_DATA:data}}/dermamnist'

images = dict(data_root=data_root)
val_evaluator = dict(type='mmimbal.ImbalanceMetric')
test_evaluator = val_evaluator
