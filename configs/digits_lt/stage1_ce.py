_base_ = [
    '../_base_/datasets/digits_lt.py',
    '../_base_/models/digits_net.py',
    '../_base_/stage1/ce.py',
    '../_base_/schedules/digits.py',
    '../_base_/runtime.py',
]

model = dict(head=dict(_base_.head, num_classes=_base_.num_classes))
work_dir = 'work_dirs/digits_lt/{{ fileBasenameNoExtension }}'
