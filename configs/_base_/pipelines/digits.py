load = []
augment = [dict(type='RandomCrop', crop_size=8, padding=1)]
pack = dict(type='PackInputs')

train_pipeline = [*augment, pack]
test_pipeline = [pack]
