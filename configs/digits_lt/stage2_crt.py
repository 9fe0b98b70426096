_base_ = [
    '../_base_/datasets/digits_lt.py',
    '../_base_/models/digits_net.py',
    '../_base_/stage2/crt.py',
    '../_base_/schedules/digits.py',
    '../_base_/runtime.py',
]

model = dict(head=dict(_base_.stage2_head, num_classes=_base_.num_classes))
train_dataloader = _base_.stage2.train_dataloader
optim_wrapper = _base_.stage2.optim_wrapper
param_scheduler = _base_.stage2.param_scheduler
train_cfg = _base_.stage2_train_cfg
default_hooks = dict(
    two_stage=dict(
        type='mmimbal.TwoStageHook', stage1='work_dirs/digits_lt/stage1_triplet'
    )
)
work_dir = 'work_dirs/digits_lt/{{ fileBasenameNoExtension }}'
