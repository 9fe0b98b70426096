# For grids: two data sets from ImageNet weights, with about equally many steps.
profile = 'pretrained'
datasets = dict(
    isic2018=dict(),
    # It has twice as many images, so half as many epochs.
    rbc12=dict(options={'train_cfg.max_epochs': 5, 'param_scheduler.1.T_max': 5}),
)
# Each run has one core; images are decoded only once. drop_last: the last batch of fold
# 0 of RBC-12 would have 2 images. Runs with a batch sampler do not read it.
options = {
    'train_dataloader.dataset.cache': 'work_dirs/decoded',
    'train_dataloader.num_workers': 0,
    'train_dataloader.drop_last': True,
    'val_dataloader.dataset.cache': 'work_dirs/decoded',
    'val_dataloader.num_workers': 0,
    'val_dataloader.persistent_workers': False,
}
