# For grids whose runs have one core each: images are decoded only once.
options = {
    'train_dataloader.dataset.cache': 'work_dirs/decoded',
    'train_dataloader.num_workers': 0,
    # The last batch of fold 0 of RBC-12 would have 2 images.
    'train_dataloader.drop_last': True,
    'val_dataloader.dataset.cache': 'work_dirs/decoded',
    'val_dataloader.num_workers': 0,
    'val_dataloader.persistent_workers': False,
}

_pk = {'train_dataloader.drop_last': False}  # a batch sampler fills its batches
