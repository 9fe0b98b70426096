_base_ = ['isic2018.py', '../pipelines/64px.py']

train_dataloader = dict(batch_size=128, dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
