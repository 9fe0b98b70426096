# Digits-LT: 291 of scikit-learn's digits, 104 zeros down to 2 nines. No download.
_base_ = '../pipelines/digits.py'

num_classes = 10
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmimbal.DigitsLT', split='train', pipeline=_base_.train_pipeline
    ),
)
val_dataloader = dict(
    batch_size=200,
    num_workers=0,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmimbal.DigitsLT',
        split='val',
        pipeline=_base_.test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=200,
    num_workers=0,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmimbal.DigitsLT',
        split='test',
        pipeline=_base_.test_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(type='mmimbal.ImbalanceMetric')
test_evaluator = val_evaluator
