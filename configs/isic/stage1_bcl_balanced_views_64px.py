# Two views of each image; --base stage1/bcl_balanced=stage1/supcon_balanced likewise.
_base_ = [
    '../_base_/datasets/isic2018_64px.py',
    '../_base_/models/resnet18_half.py',
    '../_base_/stage1/bcl_balanced.py',
    '../_base_/schedules/scratch_40e.py',
    '../_base_/runtime.py',
]

model = dict(
    data_preprocessor=dict(type='mmimbal.MultiViewDataPreprocessor'),
    head=dict(_base_.head, num_classes=_base_.num_classes),
)
train_dataloader = dict(_base_.batches, dataset=dict(pipeline=_base_.two_view_pipeline))
auto_scale_lr = dict(base_batch_size=_base_.batches.batch_size)
work_dir = 'work_dirs/isic/{{ fileBasenameNoExtension }}'
