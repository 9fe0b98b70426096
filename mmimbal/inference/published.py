"""One model or an ensemble as one file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config

import mmimbal
from mmimbal.files.atomic import check_can_be_file
from mmimbal.files.work_dir import last_checkpoint
from mmimbal.inference.members import Member, check_members, ensemble_of

OF_A_MODEL = ('.pth', '.py', '.md', '.onnx')


def check_place(out: Path, suffixes: Sequence[str], *inputs: Path) -> None:
    """Raise an error if a published file cannot be written, or would confuse a run.

    Args:
        out: The file.
        suffixes: Suffixes of all files of its name that will be written.
        *inputs: Files that are read.

    Raises:
        OSError: If one of these is a folder, in a file, or an input.
        ValueError: If the file does not end in ``.pth``, is in a work dir, or beside it
            are files of an earlier model that would stay, or of no model.
    """
    if out.suffix != '.pth':
        raise ValueError(
            f'{out} must end in .pth: the config is written next to it, with .py'
        )
    for suffix in suffixes:
        check_can_be_file(out.with_suffix(suffix), *inputs)
    beside = [out.with_suffix(each) for each in OF_A_MODEL]
    others = [file for file in beside if file.suffix not in suffixes]
    if stale := [str(file) for file in others if file.exists()]:
        raise ValueError(
            f'{" and ".join(stale)} would not fit the new {out.name}: name another '
            'file, or move what is there'
        )
    if not out.exists() and (others := [str(f) for f in beside if f.exists()]):
        raise ValueError(
            f'{" and ".join(others)} would be replaced, without a {out.name} to which '
            'it could belong: name another file, or move what is there'
        )
    if last_checkpoint(out.parent):
        raise ValueError(
            f'{out} is in the work dir of a training, where a second config would be '
            'confused with the config of training: choose another folder'
        )


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
