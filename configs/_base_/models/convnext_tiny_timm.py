# ConvNeXt-T of timm, with its ImageNet weights (arXiv:2201.03545): needs mmimbal[timm].
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
    ),
    backbone=dict(type='TIMMBackbone', model_name='convnext_tiny', pretrained=True),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(in_channels=768),
)
