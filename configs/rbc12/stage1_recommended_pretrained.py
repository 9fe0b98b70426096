# The recommended recipe, from ImageNet weights.
_base_ = [
    '../_base_/datasets/rbc12.py',
    '../_base_/profiles/pretrained.py',
    '../_base_/stage1/recommended.py',
]

model = dict(
    data_preprocessor=dict(type='mmimbal.MultiViewDataPreprocessor'),
    head=dict(_base_.head, num_classes=_base_.num_classes),
)
train_pipeline = [
    *_base_.load,
    dict(_base_.views, transforms=[_base_.augment]),
    _base_.pack,
]
train_dataloader = dict(
    _base_.batches,
    dataset=dict(_base_.images, pipeline=train_pipeline),
)
val_dataloader = dict(dataset=_base_.images)
test_dataloader = dict(dataset=_base_.images)
auto_scale_lr = dict(base_batch_size=_base_.batches.batch_size)
default_hooks = dict(checkpoint=_base_.stage1_checkpoint)
work_dir = 'work_dirs/rbc12/{{ fileBasenameNoExtension }}'
