# A small ResNet on 8x8 digits, 60 epochs: takes seconds on a CPU.
_base_ = [
    '../pipelines/digits.py',
    '../models/digits_net.py',
    '../schedules/digits.py',
    '../runtime.py',
]

only_for = 'digits_lt'
held_out = dict(
    num_workers=0, batch_size=200, sampler=dict(type='DefaultSampler', shuffle=False)
)
held_out_images = dict(pipeline=_base_.test_pipeline, test_mode=True)
train_dataloader = dict(
    num_workers=0,
    batch_size=64,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(split='train', pipeline=_base_.train_pipeline),
)
val_dataloader = dict(held_out, dataset=dict(held_out_images, split='val'))
test_dataloader = dict(held_out, dataset=dict(held_out_images, split='test'))
