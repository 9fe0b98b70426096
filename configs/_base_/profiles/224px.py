# ResNet-50 from ImageNet weights, 224 px, 60 epochs: for a GPU.
_base_ = [
    '../pipelines/224px.py',
    '../loaders.py',
    '../models/resnet50.py',
    '../schedules/finetune_60e.py',
    '../runtime.py',
]

train_dataloader = dict(num_workers=8, dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(num_workers=8, dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = dict(num_workers=8, dataset=dict(pipeline=_base_.test_pipeline))
