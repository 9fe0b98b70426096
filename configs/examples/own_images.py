# Images of your own: copy configs/_base_/datasets/own.py and set how many classes.
_base_ = [
    '../_base_/datasets/own.py',
    '../_base_/profiles/224px.py',
    '../_base_/stage1/triplet.py',
]

model = dict(head=dict(_base_.head, num_classes=_base_.num_classes))
train_dataloader = dict(dataset=_base_.images)
val_dataloader = dict(dataset=_base_.images)
test_dataloader = dict(dataset=_base_.images)
work_dir = 'work_dirs/own/{{ fileBasenameNoExtension }}'
