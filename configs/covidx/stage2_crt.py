_base_ = [
    '../_base_/datasets/covidx.py',
    '../_base_/profiles/224px.py',
    '../_base_/stage1/triplet.py',
    '../_base_/stage2/crt.py',
]

model = dict(
    backbone=dict(init_cfg=None),
    head=dict(_base_.stage2_head, num_classes=_base_.num_classes),
)
train_pipeline = [*_base_.load, *_base_.upright_augment, _base_.pack]
train_dataloader = dict(
    _base_.stage2.train_dataloader,
    dataset=dict(_base_.images, pipeline=train_pipeline),
)
val_dataloader = dict(dataset=_base_.images)
test_dataloader = dict(dataset=_base_.images)
optim_wrapper = _base_.stage2.optim_wrapper
param_scheduler = _base_.stage2.param_scheduler
train_cfg = _base_.stage2_train_cfg
default_hooks = dict(
    two_stage=dict(
        type='mmimbal.TwoStageHook',
        stage1='work_dirs/covidx/stage1_triplet',
    )
)
work_dir = 'work_dirs/covidx/{{ fileBasenameNoExtension }}'
