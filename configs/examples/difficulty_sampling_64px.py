# Draw more images of the classes that validation finds hard. Every line is a difference
# to the leaf that it inherits.
_base_ = '../isic/stage1_ce_64px.py'

train_dataloader = dict(
    sampler=dict(_delete_=True, type='mmimbal.ClassBalancedSampler', power=0.5)
)
custom_hooks = [dict(type='mmimbal.DifficultySamplingHook', strength=1.0)]
work_dir = 'work_dirs/examples/{{ fileBasenameNoExtension }}'
