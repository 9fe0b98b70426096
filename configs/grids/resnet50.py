# Is it the small net? ResNet-50 from scratch at 144 px, 100 epochs, for a GPU.
_base_ = 'study.py'

title = 'ResNet-50'
notes = (
    'ResNet-50 from scratch at 144 px, 100 epochs of ISIC 2018: what validation '
    'chooses in the study with and without metric learning, on one fold. One training '
    'each: intervals are of images, not of seeds.'
)
folds = [0]
datasets = dict(
    _delete_=True,
    isic2018=dict(
        bases=['models/resnet18_half=models/resnet50'],
        options={
            'model.backbone.init_cfg': None,
            'train_cfg.max_epochs': 100,
            'param_scheduler.1.T_max': 100,
            'train_dataloader.dataset.pipeline.1.scale': 180,
            'train_dataloader.dataset.pipeline.2.scale': 144,
            'val_dataloader.dataset.pipeline.1.scale': 158,
            'val_dataloader.dataset.pipeline.2.crop_size': 144,
            'test_dataloader.dataset.pipeline.1.scale': 158,
            'test_dataloader.dataset.pipeline.2.crop_size': 144,
            'train_dataloader.num_workers': 3,
        },
    ),
)
methods = dict(
    _delete_=True,
    balanced_softmax=_base_.methods.balanced_softmax,
    bcl_balanced_weight1=_base_.methods.bcl_balanced_weight1,
)
