# DINOv2 ViT-S/14 with MMPretrain's weights (arXiv:2304.07193) that stay, and an adapter
# (arXiv:2110.04544). Its features are those of the class token.
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
    ),
    backbone=dict(
        type='VisionTransformer',
        arch='dinov2-small',
        img_size=224,
        patch_size=14,
        layer_scale_init_value=1e-5,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='mmpretrain://vit-small-p14_dinov2-pre_3rdparty',
            prefix='backbone',
        ),
    ),
    neck=dict(type='mmimbal.AdapterNeck', in_channels=384),
    head=dict(in_channels=384),
)
