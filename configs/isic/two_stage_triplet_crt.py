_base_ = [
    '../_base_/datasets/isic2018_224px.py',
    '../_base_/models/resnet50.py',
    '../_base_/stage1/triplet.py',
    '../_base_/stage2/crt.py',
    '../_base_/schedules/finetune_60e.py',
    '../_base_/runtime.py',
]

model = dict(head=dict(_base_.head, num_classes=_base_.num_classes))
train_cfg = dict(max_epochs=_base_.train_cfg.max_epochs + _base_.stage2_epochs)
default_hooks = dict(
    two_stage=dict(
        type='mmimbal.TwoStageHook',
        epoch=_base_.train_cfg.max_epochs,
        stage2=dict(_base_.stage2, model=dict(head=dict(metric_weight=0.0))),
    )
)
work_dir = 'work_dirs/isic/{{ fileBasenameNoExtension }}'
