# Our head, loss, sampler, metric and hooks in a config of MMPretrain's, for its own
# tools/train.py. Every line is a difference to that config.
_base_ = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'

data_root = '{{$MMIMBAL_DATA:data}}/isic2018'
model = dict(
    head=dict(
        _delete_=True,
        type='mmimbal.MetricLearningClsHead',
        num_classes=7,
        in_channels=2048,
        metric_loss=dict(type='mmimbal.SupConLoss', temperature=0.1),
        embedding_size=128,
    )
)
train_dataloader = dict(
    collate_fn=dict(type='mmimbal.stack_images'),  # one tensor from a worker, not 32
    sampler=dict(_delete_=True, type='mmimbal.ClassBalancedSampler', power=0.5),
    dataset=dict(
        _delete_=True,
        type='mmimbal.CSVDataset',
        data_root=data_root,
        split='train',
        pipeline=_base_.train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmimbal.CSVDataset',
        data_root=data_root,
        split='val',
        pipeline=_base_.test_pipeline,
        test_mode=True,
    )
)
test_dataloader = dict(dataset=dict(val_dataloader['dataset'], split='test'))
val_evaluator = dict(_delete_=True, type='mmimbal.ImbalanceMetric')
test_evaluator = val_evaluator
# Without it, mmengine 0.10.7 with torch >= 2.6 loads no checkpoint of its own.
default_hooks = dict(safe_checkpoint=dict(type='mmimbal.SafeCheckpointHook'))
custom_hooks = [
    dict(type='mmimbal.ClassCountsHook'),
    # The last 20 of the 100 epochs: a fresh head on a frozen backbone.
    dict(
        type='mmimbal.TwoStageHook',
        epoch=80,
        stage2=dict(
            model=dict(head=dict(metric_weight=0.0)),
            train_dataloader=dict(sampler=dict(power=0.0)),
        ),
    ),
]
