_base_ = [
    '../_base_/datasets/digits_lt.py',
    '../_base_/profiles/digits.py',
    '../_base_/stage1/ce.py',
]

model = dict(head=dict(_base_.head, num_classes=_base_.num_classes))
train_dataloader = dict(dataset=_base_.images)
val_dataloader = dict(dataset=_base_.images)
test_dataloader = dict(dataset=_base_.images)
work_dir = 'work_dirs/digits_lt/{{ fileBasenameNoExtension }}'
