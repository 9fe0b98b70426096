"""Make a checkpoint and a config for inference from those of training."""

import copy

from mmengine.config import Config
from mmpretrain.registry import MODELS

import mmimbal
from mmimbal.files.dataset_config import innermost
from mmimbal.models.heads import MetricLearningClsHead
from mmimbal.stage2.config import trained_model
from mmimbal.stage2.freezing import FROZEN_PARTS


def inference_config(cfg: Config) -> Config:
    """Return a config for inference.

    It contains ``model`` and the pipeline of the test images, as MMPretrain's
    inferencers need them. It imports mmimbal only if it uses a component of mmimbal.

    Args:
        cfg: Config of training.
    """
    model = trained_model(cfg)
    head = model.get('head') or {}
    for key in ('loss', 'init_cfg'):
        head.pop(key, None)
    kind = head.get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    if kind and issubclass(kind, MetricLearningClsHead):
        model.head = kind.without_metric_loss(head)
    published = dict(
        default_scope='mmpretrain',
        model=model,
        test_dataloader=dict(dataset=dict(pipeline=find_pipeline(cfg))),
    )
    imports = (cfg.get('custom_imports') or {}).get('imports') or []
    imports = [imports] if isinstance(imports, str) else list(imports)
    if "'mmimbal." in repr(published) and 'mmimbal' not in imports:
        imports.append('mmimbal')
    if imports:
        published['custom_imports'] = dict(imports=imports)
    return Config(published)


def find_pipeline(cfg: Config) -> list[dict]:
    """Return the pipeline of the test images, also if the dataset is wrapped.

    Raises:
        ValueError: If there is no pipeline.
    """
    loader = cfg.get('test_dataloader') or {}
    dataset = innermost(loader.get('dataset', {}), 'pipeline', True)
    if 'pipeline' not in dataset:
        raise ValueError(
            'the config has no test_dataloader.dataset.pipeline, which inference needs'
        )
    return dataset['pipeline']


def inference_checkpoint(checkpoint: dict, cfg: Config) -> dict:
    """Return a checkpoint for inference.

    Args:
        checkpoint: Checkpoint of training.
        cfg: Config of the model, from :func:`inference_config`.

    Returns:
        ``state_dict`` without weights that only training needs (projection, metric
        loss, ...), and ``meta`` with ``dataset_meta`` (the class names),
        ``class_counts`` and ``training_groups`` if they are known, and the config. It
        contains only tensors and plain types.

    Raises:
        ValueError: If the checkpoint does not fit the model, or has no class names.
    """
    state = checkpoint.get('state_dict', checkpoint)
    model = MODELS.build(copy.deepcopy(cfg.model))
    wanted = model.state_dict()
    state = {
        k: v for k, v in state.items() if k in wanted or k.startswith(FROZEN_PARTS)
    }
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(
            'the checkpoint does not fit the model of the config; name its config with '
            f'--config. {error}'
        ) from None
    meta = checkpoint.get('meta', {})
    if not meta.get('dataset_meta', {}).get('classes'):
        raise ValueError(
            'the checkpoint has no class names (meta.dataset_meta.classes): train with '
            'a dataset that has classes in its metainfo'
        )
    known = ('dataset_meta', 'class_counts', 'training_groups', 'decisions')
    kept = {key: meta[key] for key in known if key in meta}
    kept['dataset_meta'] = dict(classes=list(meta['dataset_meta']['classes']))
    about = dict(mmimbal_version=mmimbal.__version__, cfg=cfg.pretty_text)
    return dict(state_dict=state, meta=dict(kept, **about))
