"""What cannot be averaged is refused, before any image is read."""

from dataclasses import replace

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

from mmimbal.engine.test_run.head_inputs import head_of
from mmimbal.inference.for_inference import inference_config
from mmimbal.inference.members import check_members, load_member
from mmimbal.inference.predictor import load_predictor
from mmimbal.models import EnsembleClassifier
from tests.tools import explain


@pytest.fixture
def pair(members):
    return [
        load_member(next((members / f'fold{k}').glob('best_*.pth'))) for k in (0, 1)
    ]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(classes=('a', 'b', 'd')), 'only one of them has the classes c, d'),
        (dict(classes=('b', 'a', 'c')), 'the order of their classes differs'),
        (dict(pipeline=[dict(type='Resize', scale=9)]), 'pipelines .* differ'),
        (
            dict(cfg=Config(dict(model=dict(data_preprocessor=dict(mean=[1.0]))))),
            'normalized in another way',
        ),
    ],
)
def test_members_that_do_not_go_together_are_named(pair, changes, message):
    check_members(pair)
    first, second = pair
    with pytest.raises(ValueError, match=message) as error:
        check_members([first, replace(second, **changes)])
    assert str(first.checkpoint) in str(error.value)
    assert str(second.checkpoint) in str(error.value)


@pytest.mark.parametrize('number', [0, 1])
def test_a_calibrated_member_is_refused(pair, number):
    """Its calibration is not that of the average."""
    pair[number] = replace(pair[number], meta=dict(decisions={'a': 1}))
    with pytest.raises(ValueError, match='is calibrated by itself: average') as error:
        check_members(pair)
    assert str(pair[number].checkpoint) in str(error.value)
    check_members([pair[number]])


def test_a_member_given_twice_is_refused(members):
    fold = members / 'fold0'
    with pytest.raises(ValueError, match=r'fold0.* is given twice'):
        load_predictor([members, fold])


@pytest.mark.parametrize(
    ('config', 'content', 'message'),
    [
        ('model = dict(', {}, 'x.py is not in Python'),
        ('a = 1', {}, 'x.py has no model'),
        ("model = dict(type='ImageClassifier')", [1], 'x.pth holds a list'),
    ],
)
def test_files_of_another_kind_are_named(config, content, message, tmp_path):
    torch.save(content, tmp_path / 'x.pth')
    (tmp_path / 'x.py').write_text(config)
    with pytest.raises(ValueError, match=message):
        load_member(tmp_path / 'x.pth')


def test_members_may_differ_in_what_only_training_needs(pair):
    """Mixup needs the number of classes in the data preprocessor."""
    first, second = pair
    cfg = second.cfg.copy()
    cfg.model.data_preprocessor.update(num_classes=3, to_onehot=True)
    check_members([first, replace(second, cfg=inference_config(cfg))])


def test_an_ensemble_needs_members_and_is_not_trained(members):
    with pytest.raises(ValueError, match='at least one member'):
        EnsembleClassifier([])
    ensemble = load_predictor([members]).model
    with pytest.raises(ValueError, match='an ensemble is not trained'):
        ensemble(None, None, mode='loss')


@pytest.mark.parametrize(
    ('models', 'images', 'message'),
    [
        (['nowhere'], 'images', 'no checkpoint: nowhere does not exist'),
        (['MEMBERS/fold0'], 'nowhere', 'no image or folder nowhere'),
        (['MEMBERS/fold0'], 'MEMBERS/fold0', 'no images in'),
    ],
)
def test_mistakes_are_one_sentence(members, data, tmp_path, models, images, message):
    models = [name.replace('MEMBERS', str(members)) for name in models]
    images = data / 'images' if images == 'images' else images
    images = str(images).replace('MEMBERS', str(members))
    out = tmp_path / 'out.csv'
    assert message in explain('predict', *models, images, '--out', out)
    assert not list(tmp_path.iterdir())


def test_the_tool_writes_the_table_of_an_ensemble(members, data, tmp_path, capsys):
    out = tmp_path / 'out.csv'
    code = explain('predict', members, data, '--split', 'val', '--out', out)
    assert code is None and len(out.read_text().splitlines()) == 10
    assert '9 images by the mean of 2 models' in capsys.readouterr().out


def test_an_ensemble_of_models_without_heads():
    member = dict(type='TimmClassifier', model_name='test_resnet', num_classes=3)
    cfg = dict(type='mmimbal.EnsembleClassifier', members=[member, member])
    model = MODELS.build(cfg).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = sum(member.model(images).softmax(1) for member in model.members) / 2
        assert torch.allclose(model(images), expected, atol=1e-6)
    with pytest.raises(ValueError, match='but TimmClassifier has none'):
        head_of(model.members[0])


def test_an_ensemble_is_built_without_a_default_scope(monkeypatch):
    monkeypatch.setattr(DefaultScope, 'get_current_instance', lambda: None)
    member = dict(
        type='ImageClassifier',
        backbone=dict(type='ResNet', depth=18),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=3, in_channels=512),
    )
    cfg = dict(type='mmimbal.EnsembleClassifier', members=[member, member])
    assert len(MODELS.build(cfg).members) == 2
