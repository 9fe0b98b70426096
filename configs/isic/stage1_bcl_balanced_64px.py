_base_ = [
    '../_base_/datasets/isic2018_64px.py',
    '../_base_/models/resnet18_half.py',
    '../_base_/stage1/bcl_balanced.py',
    '../_base_/schedules/scratch_40e.py',
    '../_base_/runtime.py',
]

model = dict(head=dict(_base_.head, num_classes=_base_.num_classes))
train_dataloader = _base_.batches
auto_scale_lr = dict(base_batch_size=_base_.batches.batch_size)
work_dir = 'work_dirs/isic/{{ fileBasenameNoExtension }}'
