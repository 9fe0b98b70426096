# Both data sets at 64 px, in as many steps, for grids to inherit.
datasets = dict(
    isic2018=dict(),
    rbc12=dict(
        bases=['datasets/isic2018_64px=datasets/rbc12_64px'],
        # Twice the images.
        options={'train_cfg.max_epochs': 20, 'param_scheduler.1.T_max': 20},
    ),
)
flags = ['--amp']
# One core for each run; what is read again and again is decoded once.
options = {
    'train_dataloader.dataset.cache': 'work_dirs/decoded',
    'train_dataloader.num_workers': 0,
    'val_dataloader.dataset.cache': 'work_dirs/decoded',
    'val_dataloader.num_workers': 0,
    'val_dataloader.persistent_workers': False,
}
