# Adapter on frozen features of DINOv2 ViT-S/14, 224 px, 20 epochs: for a GPU.
_base_ = [
    '../pipelines/224px.py',
    '../loaders.py',
    '../models/dinov2_small_adapter.py',
    '../schedules/adapter_20e.py',
    '../runtime.py',
]

train_dataloader = dict(
    num_workers=8, batch_size=128, dataset=dict(pipeline=_base_.train_pipeline)
)
val_dataloader = dict(num_workers=8, dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = dict(num_workers=8, dataset=dict(pipeline=_base_.test_pipeline))
