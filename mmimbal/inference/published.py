"""One model or an ensemble as one file."""

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.config import Config

import mmimbal
from mmimbal.inference.members import Member, check_members, ensemble_of


def published_model(members: Sequence[Member]) -> tuple[Config, dict]:
    """Return config and checkpoint of a model for inference.

    Args:
        members: One member, or those of an ensemble.

    Raises:
        ValueError: If members cannot be averaged.
    """
    check_members(members)
    first = members[0]
    if len(members) == 1:
        return first.cfg, dict(state_dict=first.state, meta=first.meta)
    model, state = ensemble_of(members)
    imports = dict.fromkeys(
        name
        for member in members
        for name in member.cfg.get('custom_imports', {}).get('imports', [])
    )
    cfg = Config(
        dict(
            default_scope='mmpretrain',
            model=model,
            test_dataloader=dict(dataset=dict(pipeline=first.pipeline)),
            custom_imports=dict(imports=list(dict.fromkeys([*imports, 'mmimbal']))),
        )
    )
    meta = dict(
        dataset_meta=dict(classes=list(first.classes)),
        mmimbal_version=mmimbal.__version__,
        cfg=cfg.pretty_text,
    )
    groups = [member.meta.get('training_groups') for member in members]
    if all(each is not None for each in groups):
        united = np.unique(torch.cat(groups).numpy())
        meta['training_groups'] = torch.from_numpy(united)
    return cfg, dict(state_dict=state, meta=meta)
