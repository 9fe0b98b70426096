# A small ResNet for 8x8 digits.
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(mean=[75.0] * 3, std=[90.0] * 3),
    backbone=dict(
        type='ResNet_CIFAR',
        depth=18,
        stem_channels=16,
        base_channels=16,
        out_indices=(3,),
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(in_channels=128),
)
