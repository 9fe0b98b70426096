"""Compose the config of an experiment from its four words."""

import ast
import tempfile
from pathlib import Path

from mmengine.config import Config

from mmimbal.command_line.experiment import (
    BASES,
    GROUPS,
    Experiment,
    load_base,
    parse_experiment,
    text_of_prepared,
)
from mmimbal.files.config_text import read_config

LINE = 88  # characters
STAGE2_LINES = """
optim_wrapper = _base_.stage2.optim_wrapper
param_scheduler = _base_.stage2.param_scheduler
train_cfg = {train_cfg}
default_hooks = dict(
    two_stage=dict(
        type='mmimbal.TwoStageHook',
        stage1='work_dirs/{folder}/{stage1}',
    )
)""".lstrip()
SINGLE_RUN_LINES = """
train_cfg = dict(max_epochs=_base_.train_cfg.max_epochs + _base_.stage2_epochs)
default_hooks = dict(
    two_stage=dict(
        type='mmimbal.TwoStageHook',
        epoch=_base_.train_cfg.max_epochs,
        stage2=dict(_base_.stage2, model=dict(head=dict(metric_weight=0.0))),
    )
)""".lstrip()


def compose(
    experiment: Experiment, folder: str | None = None, work_dir: str | None = None
) -> Config:
    """Return the config of an experiment, from the text of :func:`leaf_text`.

    Args:
        experiment: The experiment.
        folder: Folder below ``work_dirs/`` for its work dir; the data set if ``None``.
        work_dir: Another work dir, instead of the one below ``work_dirs/``.

    Raises:
        ValueError: If a word is unknown, or words cannot be combined.
    """
    experiment.check()
    with tempfile.TemporaryDirectory() as temporary:
        leaf = Path(temporary, f'{experiment.file_name}.py')
        text = leaf_text(experiment, folder, BASES.as_posix())
        dataset = f'datasets/{experiment.dataset}'
        if of_prepared := text_of_prepared(dataset):
            base = Path(temporary, 'dataset_base.py')
            base.write_text(of_prepared, encoding='utf-8')
            text = text.replace(f'{BASES.as_posix()}/{dataset}.py', base.as_posix())
        leaf.write_text(text, encoding='utf-8')
        cfg = read_config(leaf)
    if work_dir:
        cfg.work_dir = work_dir
    return cfg


def leaf_text(
    experiment: Experiment, folder: str | None = None, bases: str = '../_base_'
) -> str:
    """Return the text of the config file (leaf) of an experiment.

    Args:
        experiment: The experiment; it must pass :meth:`Experiment.check`.
        folder: As in :func:`compose`.
        bases: Path of ``configs/_base_/``, seen from the leaf.
    """
    folder, method = folder or experiment.dataset, _method(experiment)
    parts = ['_base_ = [', *(f"    '{bases}/{b}.py'," for b in experiment.bases), ']']
    parts += ['', _model(experiment), *_loaders(experiment)]
    if 'stage1_optim_wrapper' in method:
        parts.append('optim_wrapper = _base_.stage1_optim_wrapper')
    if experiment.single_run:
        parts.append(SINGLE_RUN_LINES)
    elif 'stage1_checkpoint' in method:
        parts.append('default_hooks = dict(checkpoint=_base_.stage1_checkpoint)')
    elif experiment.stage1 and experiment.stage2:
        stage1 = experiment.first_stage.file_name
        train_cfg = _train_cfg(experiment)
        parts.append(
            STAGE2_LINES.format(folder=folder, stage1=stage1, train_cfg=train_cfg)
        )
    parts.append(f"work_dir = 'work_dirs/{folder}/{{{{ fileBasenameNoExtension }}}}'")
    return '\n'.join(parts) + '\n'


def _model(experiment: Experiment) -> str:
    stage1 = _method(experiment)
    lines, preprocessor = [], []
    if 'views' in stage1:
        preprocessor.append("type='mmimbal.MultiViewDataPreprocessor'")
    if 'batch_augments' in stage1:
        preprocessor.append('num_classes=_base_.num_classes')
        lines.append('train_cfg=dict(augments=_base_.batch_augments)')
    if preprocessor:
        lines.append(f'data_preprocessor=dict({", ".join(preprocessor)})')
    profile = load_base(f'profiles/{experiment.profile}')
    runs_stage1 = _runs_stage1(experiment)
    if not runs_stage1 and experiment.stage1 and profile.model.backbone.get('init_cfg'):
        lines.append('backbone=dict(init_cfg=None)')  # loaded from stage 1 instead
    head = 'head' if runs_stage1 else 'stage2_head'
    lines.append(f'head=dict(_base_.{head}, num_classes=_base_.num_classes)')
    return _call('model', lines)


def _train_cfg(experiment: Experiment) -> str:
    own = '_base_.stage2_train_cfg'
    if 'stage2_loop' in load_base(f'profiles/{experiment.profile}'):
        return f'dict(_base_.stage2_loop, **{own})'
    return own


def _loaders(experiment: Experiment) -> list[str]:
    stage1 = _method(experiment)
    train, lines, more = [], [], []
    if not _runs_stage1(experiment):
        train.append('_base_.stage2.train_dataloader')
    elif 'batches' in stage1:
        train.append('_base_.batches')
        if 'batch_size' in stage1.batches:
            size = '_base_.batches.batch_size'
            more.append(f'auto_scale_lr = dict(base_batch_size={size})')
    augment = _augment(experiment)
    if augment == ['*_base_.augment']:  # as in the profile
        train.append('dataset=_base_.images')
    else:
        steps = ['*_base_.load', *augment, '_base_.pack']
        lines.append(_join('train_pipeline = [', steps, ']'))
        train.append('dataset=dict(_base_.images, pipeline=train_pipeline)')
    lines.append(_call('train_dataloader', train))
    for split in ('val', 'test'):
        lines.append(f'{split}_dataloader = dict(dataset=_base_.images)')
    return lines + more


def _augment(experiment: Experiment) -> list[str]:
    """Return the code of the training pipeline, between loading and packing."""
    stage1 = _method(experiment)
    dataset = load_base(f'datasets/{experiment.dataset}')
    augment = f'_base_.{"upright_" if dataset.get("stands_upright") else ""}augment'
    if 'views' in stage1:
        strong = ', strong=_base_.strong' if 'strong' in stage1 else ''
        return [f'dict(_base_.views, transforms=[{augment}]{strong})']
    return [f'*{augment}', *(['*_base_.strong'] if 'strong' in stage1 else [])]


def _runs_stage1(experiment: Experiment) -> bool:
    """Return whether the run trains stage 1, alone or before stage 2."""
    return bool(experiment.stage1 and (experiment.single_run or not experiment.stage2))


def _method(experiment: Experiment) -> Config:
    """Return the base of stage 1; empty if the run does not train it."""
    if not _runs_stage1(experiment):
        return Config()
    return load_base(f'stage1/{experiment.stage1}')


def _call(name: str, arguments: list[str]) -> str:
    """Return the code of a dict assignment."""
    return _join(f'{name} = dict(', arguments, ')')


def _join(start: str, parts: list[str], end: str) -> str:
    """Return code with its parts on one line if they fit, or else on one line each."""
    line = f'{start}{", ".join(parts)}{end}'
    if len(line) <= LINE:
        return line
    return '\n'.join([start, *(f'    {part},' for part in parts), end])


def read_experiment(leaf: Path) -> tuple[Experiment, str]:
    """Return the experiment of a leaf, and the folder of its work dir.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the leaf is not exactly the text of :func:`leaf_text`.
    """
    if not leaf.is_file():
        raise FileNotFoundError(f'no config {leaf}')
    cfg = read_config(leaf)
    text = leaf.read_text()
    words = {Path(base).parent.name: Path(base).stem for base in _bases(text)}
    hook = (cfg.get('default_hooks') or {}).get('two_stage') or {}
    experiment = Experiment(
        *(words.get(group) for group in GROUPS.values()),
        single_run=hook.get('epoch') is not None,
    )
    folder = Path(cfg.get('work_dir', '')).parent.name
    is_made_of_words = experiment.dataset and experiment.profile
    if not is_made_of_words or ast.dump(ast.parse(text)) != ast.dump(
        ast.parse(leaf_text(experiment, folder))
    ):
        raise ValueError(
            f'{leaf} has settings besides the four words of an experiment, so '
            '--profile and --base cannot be used. Copy it and change its _base_, or '
            'name an experiment by its words, such as isic2018/64px/triplet'
        )
    return experiment, folder


def _bases(text: str) -> list[str]:
    """Return the list ``_base_`` of a leaf."""
    for node in ast.parse(text).body:
        is_bases = isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == '_base_'
            for target in node.targets
        )
        if is_bases and isinstance(node.value, ast.List):
            return ast.literal_eval(node.value)
    return []


def load_experiment(
    name: str, profile: str | None = None, bases: list[str] | None = None
) -> Config:
    """Return the config of a file or of an experiment.

    Args:
        name: Path of a config, or name of an experiment; see :func:`parse_experiment`.
        profile: Another profile.
        bases: Words to replace, each ``OLD=NEW``.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If the name is neither a config nor an experiment, a word is
            unknown, or words cannot be combined.
    """
    if not profile and not bases and Path(name).is_file():
        return read_config(name)
    if Path(name).suffix == '.py':
        experiment, folder = read_experiment(Path(name))
    else:
        experiment, folder = parse_experiment(name), None
    return compose(experiment.with_bases(bases or [], profile), folder)
