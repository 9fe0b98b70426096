# MobileNetV2 from ImageNet weights, 96 px, 10 epochs: for a CPU.
_base_ = [
    '../pipelines/96px.py',
    '../loaders.py',
    '../models/mobilenet_v2.py',
    '../schedules/finetune_10e.py',
    '../runtime.py',
]

train_dataloader = dict(batch_size=128, dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
# On a CPU, images through the frozen net would take longer than stage 1.
stage2_loop = dict(
    _delete_=True, type='mmimbal.CachedFeaturesTrainLoop', val_interval=1, views=4
)
