# Adapter on frozen ImageNet features of MobileNetV2, 96 px, 20 epochs: for a CPU.
_base_ = [
    '../pipelines/96px.py',
    '../loaders.py',
    '../models/mobilenet_v2_adapter.py',
    '../schedules/adapter_20e.py',
    '../runtime.py',
]

train_dataloader = dict(batch_size=128, dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
