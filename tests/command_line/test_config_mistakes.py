import sys

import pytest
import torch
from mmengine.registry import Registry
from mmengine.runner import Runner
from mmpretrain.registry import MODELS, TRANSFORMS
from mmpretrain.structures import DataSample

from mmimbal.command_line.compose import load_experiment
from mmimbal.command_line.config_mistakes import mistake_in_config
from mmimbal.command_line.run_config import check_optimizer
from mmimbal.command_line.run_tool import messages_for_config_mistakes
from mmimbal.engine.hooks import CheckRunHook
from mmimbal.evaluation import ImbalanceMetric
from mmimbal.models.heads.rows import check_labels

HEAD = dict(
    type='mmimbal.MetricLearningClsHead',
    num_classes=2,
    in_channels=4,
    metric_loss=dict(type='mmimbal.SupConLoss'),
)


def error_of(function, *args):
    with pytest.raises(Exception) as caught:
        function(*args)
    return caught.value


@pytest.mark.parametrize(
    ('registry', 'cfg', 'sentence'),
    [
        (
            MODELS,
            dict(type='RestNet'),
            "MMPretrain and mmengine have no model 'RestNet'. Similar names: ResNet, ",
        ),
        (
            MODELS,
            dict(type='CosineClsHead'),
            "no model 'CosineClsHead'. Similar names: mmimbal.CosineClsHead, ",
        ),
        (TRANSFORMS, dict(type='Flip'), "no transform 'Flip'. Similar names: Random"),
        (TRANSFORMS, dict(type='qqqq'), "no transform 'qqqq'. No name is similar"),
        (MODELS, dict(type='mmimbal.TripletLos'), "mmimbal has no model 'TripletLos'"),
        (
            MODELS,
            dict(type='ResNet', depth=18, dept=34),
            "ResNet.__init__() got an unexpected keyword argument 'dept'",
        ),
        (
            MODELS,
            dict(type='mmimbal.CosineClsHead', num_classes=2),
            'missing 1 required positional argument',
        ),
        (
            MODELS,  # the argument goes on to the parent class
            HEAD | dict(colour=1),
            "got an unexpected keyword argument 'colour'",
        ),
        (
            MODELS,  # a part of a part
            dict(type='ImageClassifier', backbone=dict(type='ResNet', depth=18, x=1)),
            "ResNet.__init__() got an unexpected keyword argument 'x'",
        ),
        (
            MODELS,
            dict(type='ResNet', depth=18, _delete_=True),
            "argument '_delete_': the base has nothing there to delete, so leave it",
        ),
        (
            MODELS,
            HEAD | dict(metric_weight=-1),
            'metric_weight',
        ),
    ],
)
def test_what_a_registry_finds(registry, cfg, sentence):
    found = mistake_in_config(error_of(registry.build, cfg))
    assert sentence in found
    assert '\n' not in found
    assert 'https' not in found


def test_what_the_check_of_a_run_finds():
    class Loader:
        batch_sampler = type('Batches', (), {'separate_views': True})()

    parts = dict(model=None, hooks=(), train_dataloader=Loader)
    runner = type('Runner', (), parts)
    error = error_of(CheckRunHook()._check_batches, runner)
    assert mistake_in_config(error) is None  # not through a hook
    error = error_of(CheckRunHook().before_train_epoch, runner)
    assert 'separate_views=True' in mistake_in_config(error)


OWN = Registry('own')


@OWN.register_module()
class Broken:
    def __init__(self, error):
        raise error

    def method(self, number): ...


@OWN.register_module()
def broken_inside(error):
    def call(number): ...

    call(number=1, colour=2)


@pytest.mark.parametrize(
    'error',
    [kind('mine') for kind in (ValueError, KeyError, TypeError, OSError, ImportError)],
)
def test_an_error_of_somebodys_own_component_keeps_its_traceback(error):
    assert (
        mistake_in_config(error_of(OWN.build, dict(type='Broken', error=error))) is None
    )
    with pytest.raises(type(error)), messages_for_config_mistakes():
        raise error


def test_wrong_arguments_inside_a_component_are_no_mistake_of_the_config():
    error = error_of(OWN.build, dict(type='broken_inside', error=None))
    assert 'unexpected keyword' in str(error)
    assert mistake_in_config(error) is None


def test_a_package_that_a_component_of_mmengine_needs(tmp_path, monkeypatch):
    for module in ('torch.utils.tensorboard', 'tensorboardX'):
        monkeypatch.setitem(sys.modules, module, None)  # cannot be imported
    cfg = load_experiment('digits_lt/digits/ce')
    cfg.visualizer.vis_backends[0].type = 'TensorboardVisBackend'
    cfg.work_dir = str(tmp_path)
    cfg.experiment_name = '_'.join(tmp_path.parts[1:])  # one visualizer each
    error = error_of(Runner.from_cfg, cfg)
    assert 'pip install future tensorboard' in mistake_in_config(error)


def test_an_unknown_optimizer():
    check_optimizer({})
    check_optimizer(dict(optim_wrapper=dict(optimizer=dict(type='AdamW'))))
    with pytest.raises(ValueError, match=r"no optimizer 'SDG'\. Similar names: SGD"):
        check_optimizer(dict(optim_wrapper=dict(optimizer=dict(type='SDG'))))


def test_the_message_has_the_name_of_the_tool(monkeypatch):
    monkeypatch.setattr('sys.argv', ['tools/train.py'])
    with (
        pytest.raises(SystemExit, match=r"^train: MMPretrain .* no model 'RestNet'"),
        messages_for_config_mistakes(),
    ):
        MODELS.build(dict(type='RestNet'))


@pytest.mark.parametrize(
    ('option', 'value', 'sentence'),
    [
        ('train_cfg.max_epoch', 1, "got an unexpected keyword argument 'max_epoch'"),
        ('train_dataloader.size', 1, "got an unexpected keyword argument 'size'"),
        (
            'train_cfg.max_epochs',
            1,
            'stage 2 would never begin: TwoStageHook has epoch=',
        ),
        ('model.head.num_classes', 3, 'num_classes=3, but the training dataset has 10'),
    ],
)
def test_mistakes_of_a_run_are_one_sentence(option, value, sentence, tmp_path):
    cfg = load_experiment('digits_lt/digits/triplet+crt')
    cfg.merge_from_dict({option: value})
    cfg.work_dir = str(tmp_path)
    cfg.experiment_name = '_'.join(tmp_path.parts[1:])  # one visualizer each
    error = error_of(lambda: Runner.from_cfg(cfg).train())
    assert sentence in mistake_in_config(error)


@pytest.mark.parametrize(
    ('prefix', 'sentence'),
    [
        ('x.', 'prefix of init_cfg: x. is not in the pretrained model'),
        (None, "Its backbone fits: set prefix='backbone.' in init_cfg"),
    ],
)
def test_weights_of_an_initializer_that_do_not_fit(prefix, sentence, tmp_path):
    cfg = load_experiment('digits_lt/digits/ce')
    cfg.work_dir = str(tmp_path)
    cfg.experiment_name = '_'.join(tmp_path.parts[1:])  # one visualizer each
    net = MODELS.build(cfg.model)
    torch.save(dict(state_dict=net.state_dict()), tmp_path / 'net.pth')
    file = str(tmp_path / 'net.pth')
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=file)
    cfg.model.backbone.init_cfg.prefix = prefix
    error = error_of(lambda: Runner.from_cfg(cfg).train())
    assert sentence in mistake_in_config(error)


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        (
            dict(margin=[0, 2]),
            "TripletLoss: an argument has a wrong type ('>=' not supported between "
            "instances of 'list' and 'int'): margin=[0, 2]",
        ),
        (
            dict(distance='mmimbal.CosineSimilarity'),
            "distance='mmimbal.CosineSimilarity' must be the config of a distance",
        ),
        (dict(distance=dict(type='mmimbal.MeanReducer')), 'must be the config of a'),
    ],
)
def test_arguments_of_wrong_types(options, sentence):
    cfg = HEAD | dict(metric_loss=dict(type='mmimbal.BatchAllTripletLoss', **options))
    assert sentence in mistake_in_config(error_of(MODELS.build, cfg))


def test_of_a_batch_only_what_is_raised_on_purpose_is_a_mistake():
    scope = dict(__name__='mmengine.runner.loops')
    exec('def run_iter(function, *args):\n    function(*args)', scope)
    samples, labels = [DataSample().set_gt_label(0)] * 2, torch.tensor([0, 7])
    error = error_of(scope['run_iter'], check_labels, labels, samples, 3)
    message = 'label 7 of image 1 of the batch is outside the 3 classes of the head'
    assert mistake_in_config(error).startswith(message)
    ours = dict(__name__='mmimbal.some')
    exec('def wrong():\n    int("x")', ours)
    for fault in (
        (ours['wrong'],),
        (ImbalanceMetric().process, None, [{}]),  # KeyError: 'pred_score'
    ):
        assert mistake_in_config(error_of(scope['run_iter'], *fault)) is None
