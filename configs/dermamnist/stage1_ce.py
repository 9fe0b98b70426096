_base_ = [
    '../_base_/datasets/dermamnist_224px.py',
    '../_base_/models/resnet50.py',
    '../_base_/stage1/ce.py',
    '../_base_/schedules/finetune_60e.py',
    '../_base_/runtime.py',
]

model = dict(head=dict(_base_.head, num_classes=_base_.num_classes))
work_dir = 'work_dirs/dermamnist/{{ fileBasenameNoExtension }}'
