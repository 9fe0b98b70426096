default_scope = 'mmpretrain'
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook',
        interval=1,
        max_keep_ckpts=2,
        save_best='balanced_accuracy',
        rule='greater',
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    sync_buffers=dict(type='mmimbal.SyncBuffersHook'),
    visualization=dict(type='VisualizationHook', enable=False),
    channels_last=dict(type='mmimbal.ChannelsLastHook'),
    work_dir=dict(type='mmimbal.WorkDirHook'),
    safe_checkpoint=dict(type='mmimbal.SafeCheckpointHook'),
    resume=dict(type='mmimbal.ResumeHook'),
    class_counts=dict(type='mmimbal.ClassCountsHook'),
    training_groups=dict(type='mmimbal.TrainingGroupsHook'),
    set_epoch=dict(type='mmimbal.SetEpochHook'),
    metric_monitor=dict(type='mmimbal.MetricMonitorHook'),
    check_run=dict(type='mmimbal.CheckRunHook'),
    drawn_classes=dict(type='mmimbal.DrawnClassesHook'),
)
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
visualizer = dict(
    type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')]
)
log_level = 'INFO'
load_from = None
resume = False
randomness = dict(seed=0)
