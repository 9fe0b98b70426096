"""Nets of timm and MMPretrain's DINOv2: their weights stay, in both stages."""

import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS

from mmimbal.command_line.compose import compose
from mmimbal.command_line.experiment import Experiment
from mmimbal.files.checkpoint import load_from_local
from mmimbal.inference.predictor import load_predictor
from mmimbal.stage2.config import stage2_config
from tests.conftest import CONFIGS, rows_of, train, write_index
from tests.test_configs import shrink

CLASSES = ('akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc')


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Return a function that returns a small stage 1 with random weights of a file."""
    monkeypatch.setenv('MMIMBAL_DATA', str(tmp_path / 'data'))
    rows = rows_of(CLASSES, {'train': 2, 'val': 1, 'test': 1})
    write_index(tmp_path / 'data' / 'isic2018', rows, 32)

    def config(profile: str, prefix: str = '') -> tuple[Config, dict]:
        cfg = compose(Experiment('isic2018', profile, 'triplet', None))
        shrink(cfg.model)
        cfg.work_dir = str(tmp_path / 'stage1')
        cfg.log_level = 'WARNING'
        cfg.train_cfg.max_epochs = 1
        cfg.train_cfg.pop('cache_dir', None)
        for loader in (cfg.train_dataloader, cfg.val_dataloader):
            loader.update(num_workers=0, persistent_workers=False)
        torch.manual_seed(7)
        net = MODELS.build(dict(cfg.model.backbone, init_cfg=None))
        for parameter in net.parameters():  # none is as init_weights would leave it
            torch.nn.init.normal_(parameter, std=0.05)
        weights = net.state_dict()
        return cfg, weights

    return config


def of_timm(backbone, weights, path):
    """Let timm load the weights, as with ``pretrained=True``."""
    full = {key.removeprefix('timm_model.'): value for key, value in weights.items()}
    full['head.fc.weight'] = torch.zeros(1000, 64)
    full['head.fc.bias'] = torch.zeros(1000)
    torch.save(full, path)
    backbone.checkpoint_path = str(path)


def of_mmengine(backbone, weights, path):
    """Let mmengine load the weights."""
    prefixed = {f'backbone.{key}': value for key, value in weights.items()}
    torch.save(dict(state_dict=prefixed), path)
    backbone.init_cfg = dict(
        type='Pretrained', checkpoint=str(path), prefix='backbone.'
    )


NETS = [('convnext', of_timm), ('convnext', of_mmengine), ('dinov2', of_mmengine)]


@pytest.mark.parametrize(('profile', 'give_weights'), NETS)
def test_weights_are_kept_through_both_stages(profile, give_weights, config, tmp_path):
    cfg, weights = config(profile)
    give_weights(cfg.model.backbone, weights, tmp_path / 'weights.pth')
    model = MODELS.build(cfg.model)
    model.init_weights()
    for key, value in model.backbone.state_dict().items():
        assert value.equal(weights[key]), key

    if profile == 'convnext':  # a step of size 0, so that what changes was overwritten
        cfg.optim_wrapper.optimizer = dict(type='SGD', lr=0.0)
    train(cfg)
    checkpoint = tmp_path / 'stage1' / 'epoch_1.pth'
    kept = load_from_local(checkpoint, 'cpu')['state_dict']
    assert all(kept[f'backbone.{key}'].equal(weights[key]) for key in weights)

    (tmp_path / 'weights.pth').unlink()  # stage 2 takes those of the checkpoint
    method = Config.fromfile(CONFIGS / '_base_/stage2/nearest_mean.py')
    stage2 = stage2_config(cfg, method, checkpoint)
    stage2.work_dir = str(tmp_path / 'stage2')
    train(stage2)
    predictor = load_predictor([tmp_path / 'stage2'])
    state = predictor.model.backbone.state_dict()
    assert all(state[key].equal(weights[key]) for key in weights)


def test_tokens_that_are_not_pooled_are_refused(config):
    cfg, _ = config('dinov2')
    cfg.model.backbone = dict(type='TIMMBackbone', model_name='test_vit', img_size=224)
    cfg.model.neck.in_channels = cfg.model.head.in_channels = 64
    with pytest.raises(ValueError, match=r"\(N, tokens, C\).*out_type='cls_token'"):
        train(cfg)
