_base_ = ['rbc12.py', '../pipelines/64px.py']

train_dataloader = dict(dataset=_base_.images)
val_dataloader = dict(dataset=_base_.images)
test_dataloader = dict(dataset=_base_.images)
