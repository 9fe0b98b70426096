"""Make the config of stage 2 from the config of a finished stage 1."""

import copy
from pathlib import Path

from mmengine.config import Config

from mmimbal.files.dataset_config import name_of


def two_stage_hooks(cfg: Config) -> list[dict]:
    """Return the TwoStageHooks among the hooks of a config."""
    default, custom = cfg.get('default_hooks') or {}, cfg.get('custom_hooks') or ()
    hooks = filter(None, (*default.values(), *custom))
    return [hook for hook in hooks if name_of(hook) == 'TwoStageHook']


def follows_stage1(cfg: Config) -> bool:
    """Return whether a config is a stage 2 that starts from the backbone of a run."""
    return any(hook.get('stage1') for hook in two_stage_hooks(cfg))


def stage2_config(
    stage1: Config, method: Config, checkpoint: Path, views: int = 1
) -> Config:
    """Return the config of a run of stage 2 from that of stage 1.

    Images, backbone and neck are those of stage 1. Its samplers, views, mixing,
    schedules and custom hooks are not used.

    Args:
        stage1: Config of a run of stage 1; it may be a plain MMPretrain config.
        method: A base of ``configs/_base_/stage2/``.
        checkpoint: Checkpoint of stage 1.
        views: Augmented views of each training image.

    Raises:
        ValueError: If the head of stage 1 has no ``num_classes`` or ``in_channels``.
    """
    cfg = copy.deepcopy(stage1)
    cfg.default_scope = 'mmpretrain'
    cfg.custom_hooks = []
    cfg.default_hooks = dict(
        cfg.get('default_hooks') or {},
        class_counts=dict(type='mmimbal.ClassCountsHook'),
        set_epoch=dict(type='mmimbal.SetEpochHook'),
        two_stage=dict(type='mmimbal.TwoStageHook', stage1=str(checkpoint)),
    )
    cfg.load_from, cfg.resume = None, False
    if cfg.get('auto_scale_lr'):  # by the batches of stage 1
        cfg.auto_scale_lr.enable = False

    cfg.model = trained_model(stage1)
    cfg.pop('data_preprocessor', None)
    head, loader = cfg.model.get('head') or {}, cfg.train_dataloader
    sizes = {key: head.get(key) for key in ('num_classes', 'in_channels')}
    if None in sizes.values():
        raise ValueError(
            f'the head of stage 1, {head.get("type")}, needs num_classes and '
            f'in_channels in its config, got {sizes}: new heads get the same sizes'
        )
    cfg.model.head = dict(sizes, **method.stage2_head)
    loader.dataset = with_one_view(loader.dataset)
    batches = loader.pop('batch_sampler', None) or {}
    loader.batch_size = batches.get('natural_size') or loader.batch_size
    loader.sampler = dict(type='DefaultSampler', shuffle=True)

    cfg.optim_wrapper = dict(type='OptimWrapper', optimizer=cfg.optim_wrapper.optimizer)
    cfg.train_cfg = dict(type='mmimbal.CachedFeaturesTrainLoop')
    changes = copy.deepcopy(method.stage2.to_dict())
    cfg.param_scheduler = changes.pop('param_scheduler')
    cfg.merge_from_dict(dict(changes, train_cfg=method.stage2_train_cfg.to_dict()))
    cfg.train_cfg.views = views
    return cfg


def trained_model(cfg: Config) -> dict:
    """Return the config of a trained model that takes one view of each image.

    It is without batch augments (Mixup, CutMix) and without pretrained weights.
    """
    model = copy.deepcopy(cfg.model)
    if 'data_preprocessor' in cfg:  # as in MMPretrain's own configs
        model.setdefault('data_preprocessor', copy.deepcopy(cfg.data_preprocessor))
    for part in (model, model.get('backbone') or {}):  # TimmClassifier has none
        for key in ('train_cfg', 'pretrained', 'checkpoint_path', 'init_cfg'):
            part.pop(key, None)
    preprocessor = model.get('data_preprocessor') or {}
    for key in ('batch_augments', 'num_classes', 'to_onehot'):  # for training
        preprocessor.pop(key, None)
    if preprocessor.get('type') == 'mmimbal.MultiViewDataPreprocessor':
        preprocessor.pop('type')
    return model


STRONG_AUGMENTS = ('AutoAugment', 'RandAugment')


def with_one_view(part):
    """Return a dataset config whose pipelines give one view, for heads of stage 2.

    Strong augmentation (RandAugment, ...) is left out, as Mixup is: it is for features.
    """
    if isinstance(part, dict):
        return type(part)({key: with_one_view(value) for key, value in part.items()})
    if not isinstance(part, list | tuple):
        return part
    transforms = []
    for item in part:
        kind = name_of(item) if isinstance(item, dict) else None
        if kind in ('MultiView', 'ViewsByLoss'):
            transforms += with_one_view(item['transforms'][0])
        elif kind not in STRONG_AUGMENTS:
            transforms.append(with_one_view(item))
    return type(part)(transforms)
