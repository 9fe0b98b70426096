_base_ = [
    '../_base_/datasets/digits_lt.py',
    '../_base_/profiles/digits.py',
    '../_base_/stage1/triplet.py',
    '../_base_/stage2/crt.py',
]

model = dict(head=dict(_base_.head, num_classes=_base_.num_classes))
train_dataloader = dict(dataset=_base_.images)
val_dataloader = dict(dataset=_base_.images)
test_dataloader = dict(dataset=_base_.images)
train_cfg = dict(max_epochs=_base_.train_cfg.max_epochs + _base_.stage2_epochs)
default_hooks = dict(
    two_stage=dict(
        type='mmimbal.TwoStageHook',
        epoch=_base_.train_cfg.max_epochs,
        stage2=dict(_base_.stage2, model=dict(head=dict(metric_weight=0.0))),
    )
)
work_dir = 'work_dirs/digits_lt/{{ fileBasenameNoExtension }}'
