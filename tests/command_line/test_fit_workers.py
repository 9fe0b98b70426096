"""Workers of loaders and cores."""

import pytest
from mmengine.config import Config

from mmimbal.command_line import fit_workers as module
from mmimbal.command_line.compose import compose
from mmimbal.command_line.experiment import parse_experiment
from mmimbal.command_line.fit_workers import fit_workers


@pytest.mark.parametrize(
    ('cores', 'ranks', 'expected'), [(2, 1, 2), (16, 1, 8), (16, 4, 4), (2, 4, 1)]
)
def test_no_more_workers_than_cores(monkeypatch, cores, ranks, expected):
    monkeypatch.setattr(module, 'cpu_count', lambda: cores)
    said = []
    monkeypatch.setattr(module, 'print_log', lambda line, logger: said.append(line))
    monkeypatch.setenv('LOCAL_WORLD_SIZE', str(ranks))
    few = dict(num_workers=1)
    cfg = Config(dict(train_dataloader=dict(num_workers=8), val_dataloader=few))
    fit_workers(cfg)
    assert cfg.train_dataloader.num_workers == expected
    assert cfg.val_dataloader.num_workers == 1
    lines = [f'(train_dataloader 8): {expected} of each are used']
    assert [line[line.index('(') :] for line in said] == lines[: expected < 8]


def test_loaders_without_workers_stay_so(monkeypatch):
    monkeypatch.setattr(module, 'cpu_count', lambda: 1)
    cfg = Config(dict(train_dataloader=dict(num_workers=0), val_dataloader=None))
    fit_workers(cfg)
    assert cfg.train_dataloader.num_workers == 0


def test_loaders_without_workers_have_no_options_of_them():
    loader = dict(num_workers=0, persistent_workers=True, prefetch_factor=2)
    cfg = Config(dict(test_dataloader=dict(loader, batch_size=3)))
    fit_workers(cfg)
    assert cfg.test_dataloader == dict(num_workers=0, batch_size=3)


@pytest.mark.parametrize('profile', ['224px', 'convnext', 'dinov2', '144px_resnet50'])
def test_profiles_for_a_gpu_have_workers_for_it(profile):
    cfg = compose(parse_experiment(f'isic2018/{profile}/ce'))
    loaders = cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader
    assert [loader.num_workers for loader in loaders] == [8, 8, 8]


@pytest.mark.parametrize('workers', ['two', 1.5, None])
def test_a_number_that_is_none_is_named(workers):
    with pytest.raises(ValueError, match=r'train_dataloader\.num_workers=.* whole'):
        fit_workers(Config(dict(train_dataloader=dict(num_workers=workers))))
