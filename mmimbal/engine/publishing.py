"""From a training checkpoint to what inference needs."""

import copy

import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS

import mmimbal
from mmimbal.engine.stage2_config import trained_model
from mmimbal.models.heads import MetricLearningClsHead


def inference_config(cfg: Config) -> Config:
    """Return the config of a model that predicts and is not trained.

    It has ``model`` and the pipeline of the test images, as MMPretrain's inferencers
    read them, and imports mmimbal only if the head is one of ours.

    Args:
        cfg: Config of training.
    """
    model = trained_model(cfg)
    head = model.head
    for key in ('loss', 'init_cfg'):
        head.pop(key, None)
    if issubclass(MODELS.get(head.type), MetricLearningClsHead):
        sizes = {key: head[key] for key in ('num_classes', 'in_channels')}
        model.head = dict(type='LinearClsHead', **sizes)
    found = dict(
        default_scope='mmpretrain',
        model=model,
        test_dataloader=dict(
            dataset=dict(pipeline=cfg.test_dataloader.dataset.pipeline)
        ),
    )
    if "'mmimbal." in repr(found):
        found['custom_imports'] = dict(imports=['mmimbal'])
    return Config(found)


def inference_checkpoint(checkpoint: dict, cfg: Config) -> dict:
    """Return ``state_dict`` and ``meta`` of a model that predicts.

    Args:
        checkpoint: Of training.
        cfg: Config of the model, as :func:`inference_config` returns it.

    Returns:
        ``state_dict`` without what training alone needs (projection, metric loss, ...),
        and ``meta`` with ``dataset_meta``, where class names are, ``class_counts`` if
        they are known, and the config as text: tensors and plain types only.

    Raises:
        ValueError: If the checkpoint lacks something that the model needs, or its
            classes have no names.
    """
    state = checkpoint['state_dict']
    wanted = MODELS.build(copy.deepcopy(cfg.model)).state_dict()
    missing = [key for key in wanted if key not in state]
    if missing:
        raise ValueError(
            f'the checkpoint is not of this model: it lacks {", ".join(missing[:3])}'
            f'{", ..." if missing[3:] else ""}. Name its config with --config'
        )
    meta = checkpoint.get('meta', {})
    if not meta.get('dataset_meta', {}).get('classes'):
        raise ValueError('the checkpoint does not name its classes: no dataset_meta')
    kept = {key: meta[key] for key in ('dataset_meta', 'class_counts') if key in meta}
    kept['dataset_meta'] = dict(classes=list(meta['dataset_meta']['classes']))
    about = dict(mmimbal_version=mmimbal.__version__, cfg=cfg.pretty_text)
    tensors = {key: torch.clone(state[key]).contiguous() for key in wanted}
    return dict(state_dict=tensors, meta=dict(kept, **about))
