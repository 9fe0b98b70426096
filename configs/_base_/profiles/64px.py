# ResNet-18 with half the channels from scratch, 64 px, 40 epochs: for a CPU.
_base_ = [
    '../pipelines/64px.py',
    '../loaders.py',
    '../models/resnet18_half.py',
    '../schedules/scratch_40e.py',
    '../runtime.py',
]

train_dataloader = dict(batch_size=128, dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
