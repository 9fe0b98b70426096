import pytest
from mmengine.config import Config
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS as MMPRETRAIN_MODELS

from mmimbal.registry import DATA_SAMPLERS, HOOKS, MODELS
from tests.conftest import TINY, train


def test_prefix_finds_ours_from_every_registry():
    for registry in (MODELS, MMPRETRAIN_MODELS):
        assert registry.get('mmimbal.MetricLearningClsHead').__module__ == (
            'mmimbal.models.heads.metric_learning_head'
        )


def test_typo_names_the_near_component():
    with pytest.raises(KeyError, match=r"no hook 'TwoStagHook'.*TwoStageHook"):
        ROOT_HOOKS.build(dict(type='mmimbal.TwoStagHook', epoch=1))


def test_components_of_others_are_not_ours():
    with pytest.raises(KeyError, match="no hook 'EMAHook'"):
        HOOKS.build(dict(type='mmimbal.EMAHook'))
    with pytest.raises(KeyError, match="no data sampler 'DefaultSampler'"):
        DATA_SAMPLERS.get('mmimbal.DefaultSampler')


def test_other_scopes_pass_through():
    assert MODELS.get('mmpretrain.LinearClsHead').__name__ == 'LinearClsHead'


def test_our_scope_finds_mmpretrain_without_prefix():
    with DefaultScope.overwrite_default_scope('mmimbal'):
        assert MODELS.get('LinearClsHead').__name__ == 'LinearClsHead'
        with pytest.raises(KeyError):
            HOOKS.get('mmimbal.EMAHook')


def test_configs_are_inherited_and_run_in_another_project(tmp_path):
    """mmengine builds what it inherits so in our scope, MMPretrain's parts too."""
    leaf = tmp_path / 'mine.py'
    leaf.write_text("_base_ = 'mmimbal::digits_lt/two_stage_triplet_crt.py'")
    cfg = Config.fromfile(leaf)
    assert cfg.model._scope_ == 'mmimbal'
    cfg.merge_from_dict({**TINY, 'default_hooks.two_stage.epoch': 1})
    cfg.work_dir = str(tmp_path / 'run')
    runner = train(cfg)
    assert type(runner.model.head).__name__ == 'MetricLearningClsHead'
    assert runner.epoch == 2
