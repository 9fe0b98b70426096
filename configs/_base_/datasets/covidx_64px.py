_base_ = ['covidx.py', '../pipelines/64px.py', '../loaders.py']

held_out_images = dict(_base_.images, pipeline=_base_.test_pipeline)
augment = _base_.augment[:-1]  # chests stand upright
train_pipeline = [_base_.load, *augment, _base_.pack]
two_view_pipeline = [
    _base_.load,
    augment[0],
    dict(type='MultiView', num_views=2, transforms=[augment[1:]]),
    _base_.pack,
]
train_dataloader = dict(
    batch_size=128, dataset=dict(_base_.images, pipeline=train_pipeline)
)
val_dataloader = dict(dataset=held_out_images)
test_dataloader = dict(dataset=held_out_images)
