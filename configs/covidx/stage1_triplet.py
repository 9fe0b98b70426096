_base_ = [
    '../_base_/datasets/covidx.py',
    '../_base_/profiles/224px.py',
    '../_base_/stage1/triplet.py',
]

model = dict(head=dict(_base_.head, num_classes=_base_.num_classes))
train_pipeline = [*_base_.load, *_base_.upright_augment, _base_.pack]
train_dataloader = dict(dataset=dict(_base_.images, pipeline=train_pipeline))
val_dataloader = dict(dataset=_base_.images)
test_dataloader = dict(dataset=_base_.images)
work_dir = 'work_dirs/covidx/{{ fileBasenameNoExtension }}'
