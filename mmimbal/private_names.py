"""Private names of other packages that mmimbal uses, and that any release may change.

A test checks that the installed packages have all of them, and that mmimbal uses no
private name that is missing here.
"""

# The key is the owner: a class, whose objects have these attributes, or a module.
PRIVATE_NAMES = {
    'mmengine.runner.Runner': (
        '_init_model_weights',
        '_load_from',
        '_resume',
        '_test_loop',
        '_train_dataloader',
        '_train_loop',
        '_val_loop',
    ),
    'mmengine.runner.EpochBasedTrainLoop': (
        '_decide_current_val_interval',
        '_epoch',
        '_max_iters',
    ),
    'mmengine.runner.runner': ('_SlicedDataset',),
    'mmengine.runner.runner._SlicedDataset': ('_dataset',),
    'mmengine.runner.checkpoint.CheckpointLoader': ('_schemes',),
    'mmengine.runner.checkpoint': ('load_from_http',),
    'mmengine.fileio.backends.registry_utils': ('prefix_to_backends',),
    'mmengine.config.utils': ('MODULE2PACKAGE',),
    'mmengine.config.Config': ('_cfg_dict',),
    'mmengine.dataset.BaseDataset': (
        '_fully_initialized',
        '_get_unserialized_subset',
        '_metainfo',
    ),
    'mmengine.optim.OptimWrapper': ('_accumulative_counts',),
    'mmpretrain.models.ClsDataPreprocessor': ('_enable_normalize',),
    'mmpretrain.models.LinearClsHead': ('_get_loss',),
    'pytorch_metric_learning.losses.TupletMarginLoss': ('_compute_loss',),
    'torch.utils.data.DataLoader': ('_iterator',),
    'torch.nn.Module': ('_load_from_state_dict', '_modules'),
    'torch.nn.modules.batchnorm': ('_NormBase',),
}
