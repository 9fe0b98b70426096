# COVIDx CXR: chest X-rays with and without COVID-19. Class names are in dataset.json.
num_classes = 2
stands_upright = True  # a chest is not flipped vertically
data_root = '{{$MMIMBAL_DATA:data}}/covidx'

images = dict(data_root=data_root)
val_evaluator = dict(type='mmimbal.ImbalanceMetric')
test_evaluator = val_evaluator
