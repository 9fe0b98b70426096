_base_ = [
    '../_base_/datasets/isic2018.py',
    '../_base_/profiles/convnext.py',
    '../_base_/stage1/triplet.py',
]

model = dict(head=dict(_base_.head, num_classes=_base_.num_classes))
train_dataloader = dict(dataset=_base_.images)
val_dataloader = dict(dataset=_base_.images)
test_dataloader = dict(dataset=_base_.images)
work_dir = 'work_dirs/isic/{{ fileBasenameNoExtension }}'
