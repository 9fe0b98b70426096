_base_ = ['covidx.py', '../pipelines/224px.py', '../loaders.py']

held_out_images = dict(_base_.images, pipeline=_base_.test_pipeline)
# Chests stand upright.
augment = [
    *_base_.augment[:-2],
    dict(type='ColorJitter', brightness=0.2, contrast=0.2),
]
train_pipeline = [_base_.load, *augment, _base_.pack]
two_view_pipeline = [
    _base_.load,
    augment[0],
    dict(type='MultiView', num_views=2, transforms=[augment[1:]]),
    _base_.pack,
]
train_dataloader = dict(dataset=dict(_base_.images, pipeline=train_pipeline))
val_dataloader = dict(dataset=held_out_images)
test_dataloader = dict(dataset=held_out_images)
