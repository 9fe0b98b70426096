"""From a training checkpoint to what inference needs."""

import copy

from mmengine.config import Config
from mmpretrain.registry import MODELS

import mmimbal
from mmimbal.models.heads import MetricLearningClsHead
from mmimbal.stage2.config import trained_model
from mmimbal.stage2.freezing import FROZEN_PARTS


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
        test_dataloader=dict(dataset=dict(pipeline=find_pipeline(cfg))),
    )
    imports = list(cfg.get('custom_imports', {}).get('imports', []))
    if "'mmimbal." in repr(found) and 'mmimbal' not in imports:
        imports.append('mmimbal')
    if imports:
        found['custom_imports'] = dict(imports=imports)
    return Config(found)


def find_pipeline(cfg: Config) -> list[dict]:
    """Return the pipeline of the test images, also of a dataset inside of others.

    Raises:
        ValueError: If there is none.
    """
    dataset = (cfg.get('test_dataloader') or {}).get('dataset', {})
    while 'pipeline' not in dataset and ('dataset' in dataset or 'datasets' in dataset):
        dataset = dataset.get('dataset') or dataset['datasets'][0]
    if 'pipeline' not in dataset:
        raise ValueError(
            'the config has no test_dataloader whose dataset has a pipeline'
        )
    return dataset['pipeline']


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
        ValueError: If the checkpoint is of another model, or its classes have no names.
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
            'the checkpoint is not of this model; name its config with --config. '
            f'{error}'
        ) from None
    meta = checkpoint.get('meta', {})
    if not meta.get('dataset_meta', {}).get('classes'):
        raise ValueError('the checkpoint does not name its classes: no dataset_meta')
    kept = {key: meta[key] for key in ('dataset_meta', 'class_counts') if key in meta}
    kept['dataset_meta'] = dict(classes=list(meta['dataset_meta']['classes']))
    about = dict(mmimbal_version=mmimbal.__version__, cfg=cfg.pretty_text)
    return dict(state_dict=state, meta=dict(kept, **about))
