# Digits-LT: 291 of scikit-learn's digits, 104 zeros down to 2 nines. No download.
_base_ = '../pipelines/digits.py'

num_classes = 10
in_order = dict(type='DefaultSampler', shuffle=False)
held_out = dict(type='mmimbal.DigitsLT', pipeline=_base_.test_pipeline, test_mode=True)

train_dataloader = dict(
    num_workers=0,
    batch_size=64,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmimbal.DigitsLT', split='train', pipeline=_base_.train_pipeline
    ),
)
val_dataloader = dict(
    num_workers=0, batch_size=200, sampler=in_order, dataset=dict(held_out, split='val')
)
test_dataloader = dict(
    num_workers=0,
    batch_size=200,
    sampler=in_order,
    dataset=dict(held_out, split='test'),
)
val_evaluator = dict(type='mmimbal.ImbalanceMetric')
test_evaluator = val_evaluator
