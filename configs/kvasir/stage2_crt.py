_base_ = [
    '../_base_/datasets/kvasir_224px.py',
    '../_base_/models/resnet50.py',
    '../_base_/stage2/crt.py',
    '../_base_/schedules/finetune_60e.py',
    '../_base_/runtime.py',
]

model = dict(
    backbone=dict(init_cfg=None),
    head=dict(_base_.stage2_head, num_classes=_base_.num_classes),
)
train_dataloader = _base_.stage2.train_dataloader
optim_wrapper = _base_.stage2.optim_wrapper
param_scheduler = _base_.stage2.param_scheduler
train_cfg = _base_.stage2_train_cfg
default_hooks = dict(
    two_stage=dict(
        type='mmimbal.TwoStageHook', stage1='work_dirs/kvasir/stage1_triplet'
    )
)
work_dir = 'work_dirs/kvasir/{{ fileBasenameNoExtension }}'
