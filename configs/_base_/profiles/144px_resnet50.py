# ResNet-50 from scratch, 144 px, 100 epochs: for a GPU.
_base_ = [
    '../pipelines/144px.py',
    '../loaders.py',
    '../models/resnet50.py',
    '../schedules/scratch_100e.py',
    '../runtime.py',
]

model = dict(backbone=dict(init_cfg=None))
train_dataloader = dict(
    batch_size=128, num_workers=8, dataset=dict(pipeline=_base_.train_pipeline)
)
val_dataloader = dict(num_workers=8, dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = dict(num_workers=8, dataset=dict(pipeline=_base_.test_pipeline))
