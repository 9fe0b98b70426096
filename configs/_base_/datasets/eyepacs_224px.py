_base_ = ['eyepacs.py', '../pipelines/224px.py', '../loaders.py']

held_out_images = dict(_base_.images, pipeline=_base_.test_pipeline)
train_dataloader = dict(dataset=dict(_base_.images, pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=held_out_images)
test_dataloader = dict(dataset=held_out_images)
