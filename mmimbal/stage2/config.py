"""The config of stage 2, made from that of a finished stage 1."""

import copy
from pathlib import Path

from mmengine.config import Config

TWO_STAGES = 'mmimbal.TwoStageHook'


def two_stage_hooks(cfg: Config) -> list[dict]:
    """Return the TwoStageHooks among the hooks of a config."""
    hooks = [*cfg.get('default_hooks', {}).values(), *cfg.get('custom_hooks', [])]
    return [hook for hook in hooks if hook and hook.get('type') == TWO_STAGES]


def follows_stage1(cfg: Config) -> bool:
    """Return whether a config is of a stage 2 that starts from another run."""
    return any(hook.get('stage1') for hook in two_stage_hooks(cfg))


def find_config(checkpoint: Path) -> Path:
    """Return the config beside a checkpoint: of its name, or the only one there.

    Raises:
        FileNotFoundError: If there is none, or there are several.
    """
    own = checkpoint.with_suffix('.py')
    found = [own] if own.is_file() else sorted(checkpoint.parent.glob('*.py'))
    if len(found) != 1:
        names = ', '.join(file.name for file in found) or 'none'
        raise FileNotFoundError(
            f'expected one config in {checkpoint.parent}, where mmengine puts it; '
            f'found {names}. Name it with --config'
        )
    return found[0]


def stage2_config(
    stage1: Config, method: Config, checkpoint: Path, views: int = 1
) -> Config:
    """Return the config of a run of stage 2 from that of stage 1.

    Images and model are those of stage 1. What made its batches and steps (samplers,
    several views, mixing, schedules, further hooks) is left behind.

    Args:
        stage1: Config of a run of stage 1, also one of plain MMPretrain.
        method: A base of ``configs/_base_/stage2/``.
        checkpoint: What stage 1 has trained.
        views: Augmented views of each training image.

    Raises:
        ValueError: If the head of stage 1 does not say its sizes.
    """
    cfg = copy.deepcopy(stage1)
    cfg.default_scope = 'mmpretrain'
    cfg.custom_hooks = []
    cfg.default_hooks = dict(
        cfg.get('default_hooks', {}),
        class_counts=dict(type='mmimbal.ClassCountsHook'),
        set_epoch=dict(type='mmimbal.SetEpochHook'),
        two_stage=dict(type='mmimbal.TwoStageHook', stage1=str(checkpoint)),
    )
    cfg.load_from, cfg.resume = None, False

    cfg.model = trained_model(stage1)
    cfg.pop('data_preprocessor', None)
    head, loader = cfg.model.get('head') or {}, cfg.train_dataloader
    sizes = {key: head.get(key) for key in ('num_classes', 'in_channels')}
    if None in sizes.values():
        raise ValueError(
            f'the head of stage 1, {head.get("type")}, says no num_classes and '
            'in_channels, so that it is not known what fresh heads should have'
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
    """Return the config of a model whose weights are there, for one view of each image.

    Mixing of a batch and pretrained weights are left out.
    """
    model = copy.deepcopy(cfg.model)
    if 'data_preprocessor' in cfg:  # where MMPretrain's own configs have it
        model.setdefault('data_preprocessor', copy.deepcopy(cfg.data_preprocessor))
    for part in (model, model.backbone):
        for key in ('train_cfg', 'pretrained', 'init_cfg'):
            part.pop(key, None)
    preprocessor = model.get('data_preprocessor') or {}
    if preprocessor.get('type') == 'mmimbal.MultiViewDataPreprocessor':
        preprocessor.pop('type')
    return model


def with_one_view(part):
    """Return a dataset config whose pipelines give one view instead of several."""
    if isinstance(part, dict):
        return type(part)({key: with_one_view(value) for key, value in part.items()})
    if not isinstance(part, list | tuple):
        return part
    transforms = []
    for item in part:
        if isinstance(item, dict) and item.get('type') == 'MultiView':
            transforms += item['transforms'][0]
        else:
            transforms.append(with_one_view(item))
    return type(part)(transforms)
