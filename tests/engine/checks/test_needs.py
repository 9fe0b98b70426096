"""What a method needs and lacks is said before the first step."""

from types import SimpleNamespace

import numpy as np
import pytest
from mmcv.transforms import BaseTransform
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmpretrain.engine import SwitchRecipeHook
from mmpretrain.models.losses import CrossEntropyLoss, FocalLoss
from torch import nn

from mmimbal.command_line.compose import load_experiment
from mmimbal.engine.checks.needs import switched_recipes
from mmimbal.models.needs import needs_of
from mmimbal.registry import MODELS, TRANSFORMS
from tests.conftest import TINY

MIXUP = dict(type='Mixup', alpha=0.2)


def started(word, tmp_path, prepare=lambda runner: None, **options):
    """Start the training of a word of stage 1; stop at the first step."""
    cfg = load_experiment(f'digits_lt/digits/{word}')
    cfg.merge_from_dict({**TINY, **options})
    cfg.work_dir = str(tmp_path)
    runner = Runner.from_cfg(cfg)

    def stop(*_, **__):
        raise KeyboardInterrupt

    runner.model.train_step = stop
    prepare(runner)
    try:
        runner.train()
    except KeyboardInterrupt:
        return


PREPROCESSOR = {'model.data_preprocessor.type': 'ClsDataPreprocessor'}
NO_COUNTS = {'default_hooks.class_counts.type': 'IterTimerHook'}
NO_EPOCH = {'default_hooks.set_epoch.type': 'IterTimerHook'}
MIXED = {'model.train_cfg': dict(augments=MIXUP)}
PLAIN = {'model.train_cfg': None}
CONTROL = {'model.head.metric_weight': 0.0}
OF_DIGITS = load_experiment('digits_lt/digits/bcl_views').train_dataloader.dataset
ONE_VIEW = {'train_dataloader.dataset.pipeline': [dict(type='PackInputs')]}
WRAPPED = {
    'train_dataloader.dataset': dict(
        _delete_=True, type='ConcatDataset', datasets=[OF_DIGITS, OF_DIGITS]
    )
}
UNMARKED = {'train_dataloader.batch_sampler': None, 'model.head.separate_views': False}
SAME_VIEWS = {
    'train_dataloader.batch_sampler.separate_views': False,
    'model.head.separate_views': False,
}


def views_of(number: int) -> list[dict]:
    """Return a pipeline that makes some views of each image."""
    transforms = [[dict(type='RandomFlip', prob=0.5)]]
    views = dict(type='MultiView', num_views=number, transforms=transforms)
    return [views, dict(type='PackInputs')]


ONE_METRIC_VIEW = {
    'model.head.type': 'mmimbal.ImageViewsClsHead',
    'model.head.metric_loss': dict(
        _delete_=True, type='mmimbal.KPositivesLoss', k=2, temperature=0.1
    ),
    'train_dataloader.dataset.pipeline.0.metric_views': 1,
}
TWO_PREPROCESSORS = {
    'data_preprocessor': dict(mean=[1.0, 1.0, 1.0], std=[2.0, 2.0, 2.0]),
    'model.data_preprocessor': dict(
        _delete_=True, type='mmimbal.MultiViewDataPreprocessor'
    ),
}
OF_KCL = load_experiment('digits_lt/digits/kcl').train_dataloader.dataset
JOINED = {
    'train_dataloader.dataset': dict(
        _delete_=True, type='ConcatDataset', datasets=[OF_KCL, OF_KCL]
    )
}
AVERAGED = {
    'model.head': dict(
        _delete_=True, type='mmimbal.CosineMeansClsHead', num_classes=10, in_channels=32
    ),
    'custom_hooks': [dict(type='EMAHook')],
}
TWO_VIEWS = {'train_dataloader.dataset.pipeline': views_of(2)}
CASES = [
    ('kcl', PREPROCESSOR, r"ImageViewsClsHead needs views: add dict\(type='MultiView'"),
    ('tsc', PREPROCESSOR, 'needs views'),
    ('supervised_prototypes', PREPROCESSOR, 'needs views'),
    ('gpaco', NO_COUNTS, 'LogitAdjustmentLoss needs class counts: .*ClassCountsHook'),
    ('experts', NO_COUNTS, 'LogitAdjustmentLoss needs class counts'),
    ('seql', NO_COUNTS, 'SoftmaxEqualizationLoss needs class counts'),
    ('proco', NO_COUNTS, 'needs class counts'),
    ('proco', NO_EPOCH, 'ProCoLoss needs the epoch: .*SetEpochHook'),
    ('tsc', NO_EPOCH, 'TargetedLoss needs the epoch'),
    ('class_centre', NO_EPOCH, 'ClassCentreTripletLoss needs the epoch'),
    ('triplet', NO_EPOCH | {'model.head.warmup_epochs': 2}, 'needs the epoch'),
    ('lade', MIXED, 'LADELoss needs one label per image: remove Mixup and CutMix'),
    ('seql', MIXED, 'needs one label per image'),
    ('proco', MIXED, 'MetricLearningClsHead needs one label per image'),
    ('remix', PLAIN, r"RemixLoss needs Mixup or CutMix: add dict\(type='Mixup'"),
    ('triplet', {'train_dataloader.batch_size': 1}, 'needs several images in a batch'),
    (
        'bcl_views',
        PREPROCESSOR,
        'metric loss alone: .*MultiViewDataPreprocessor',
    ),
    ('supcon_views', PREPROCESSOR | CONTROL, 'needs views for the metric loss alone'),
    (
        'bcl_views',
        ONE_VIEW,
        r"alone: add dict\(type='mmimbal\.ViewsByLoss'",
    ),
    ('bcl_views', WRAPPED, 'not be in a wrapper such as ConcatDataset'),
    ('bcl_views', SAME_VIEWS, 'pipeline has ViewsByLoss, but batch sampler and head'),
    ('triplet', TWO_VIEWS, 'several views of an image, which ClsDataPreprocessor'),
    ('ce', TWO_VIEWS, 'several views of an image, which ClsDataPreprocessor'),
    (
        'kcl',
        {'train_dataloader.dataset.pipeline': views_of(1)},
        'ImageViewsClsHead needs views',
    ),
    ('bcl_views', ONE_METRIC_VIEW, 'ImageViewsClsHead needs views'),
    ('kcl', JOINED, 'ConcatDataset joins data sets whose images have the same'),
    ('ce', TWO_PREPROCESSORS, 'data_preprocessor at top level, with a mean, and'),
    ('ce', AVERAGED, 'CosineMeansClsHead sets its weights .* remove EMAHook'),
    ('bcl_views', {'model.head.natural_size': 8}, 'head has natural_size=8'),
    (
        'bcl_views',
        {'train_dataloader.collate_fn': dict(type='default_collate')},
        'default_collate cannot join images with one view and with several',
    ),
]


@pytest.mark.parametrize(('word', 'options', 'message'), CASES)
def test_what_is_missing_is_said_before_the_first_step(
    word, options, message, tmp_path
):
    with pytest.raises(ValueError, match=message):
        started(word, tmp_path, **options)


@pytest.mark.parametrize(
    ('loss', 'lacking', 'need'),
    [
        (dict(type='mmimbal.BalancedSoftmaxLoss'), NO_COUNTS, 'class counts'),
        (dict(type='mmimbal.LDAMLoss', reweight_epoch=0.5), NO_EPOCH, 'the epoch'),
        (dict(type='mmimbal.BalancedSoftmaxLoss'), {}, None),
    ],
)
def test_a_loss_that_comes_later_is_asked_too(loss, lacking, need, tmp_path):
    schedule = [dict(action_epoch=2, loss=loss)]
    hooks = dict(custom_hooks=[dict(type='SwitchRecipeHook', schedule=schedule)])
    if need is None:
        started('ce', tmp_path, **hooks, **lacking)
        return
    message = f'{loss["type"].split(".")[1]} needs {need}'
    with pytest.raises(ValueError, match=message):
        started('ce', tmp_path, **hooks, **lacking)


LATE_MIXUP = dict(batch_augments=dict(augments=MIXUP))
ONE_HOT = {
    'model.data_preprocessor.to_onehot': True,
    'model.data_preprocessor.num_classes': 10,
}
OF_EXPERTS = load_experiment('digits_lt/digits/experts').model.head
EXPERTS = {'model.head': dict(OF_EXPERTS, _delete_=True)}
ONE_LABEL_LATER = dict(loss=dict(type='mmimbal.SoftmaxEqualizationLoss'))
COSINES = {
    'model.head': dict(
        _delete_=True, type='mmimbal.CosineClsHead', num_classes=10, in_channels=32
    )
}


@pytest.mark.parametrize(
    ('options', 'recipes', 'message'),
    [
        (MIXED, [ONE_LABEL_LATER], 'needs one label per image: remove Mixup'),
        (MIXED, [dict(ONE_LABEL_LATER, batch_augments=None)], None),
        (MIXED, [dict(batch_augments=None), ONE_LABEL_LATER], None),
        (
            COSINES,
            [dict(loss=dict(type='mmimbal.LDAMLoss'))],
            'the head has scale=16, but its loss has scale=30',
        ),
        (COSINES, [dict(loss=dict(type='mmimbal.LDAMLoss', scale=16.0))], None),
        (
            {'model.head.loss': ONE_LABEL_LATER['loss']} | ONE_HOT,
            [LATE_MIXUP],
            'SoftmaxEqualizationLoss needs one label per image: remove Mixup',
        ),
        ({}, [dict(loss=dict(type='mmimbal.RemixLoss'))], 'needs Mixup or CutMix'),
        ({}, [LATE_MIXUP], 'mix nothing if labels are numbers: add to_onehot'),
        (ONE_HOT, [LATE_MIXUP], None),
        (EXPERTS, [dict(loss=dict(type='FocalLoss'))], 'has a loss for each expert'),
        (
            MIXED | {'model.head.loss': dict(type='mmimbal.RemixLoss')},
            [dict(batch_augments=None)],
            None,  # then it is plain cross-entropy
        ),
    ],
)
def test_a_loss_that_comes_later_fits_head_and_labels(
    options, recipes, message, tmp_path
):
    schedule = [dict(each, action_epoch=n) for n, each in enumerate(recipes, 2)]
    hooks = dict(custom_hooks=[dict(type='SwitchRecipeHook', schedule=schedule)])
    if message is None:
        started('ce', tmp_path, **hooks, **options)
        return
    with pytest.raises(ValueError, match=message):
        started('ce', tmp_path, **hooks, **options)


def test_labels_that_are_shares_can_be_mixed(tmp_path):
    """As in a data set of somebody's own, with ``gt_score``."""

    def give_shares(runner):
        dataset = runner.train_loop.dataloader.dataset
        info, score = dataset.get_data_info, np.full(10, 0.1)
        dataset.get_data_info = lambda index: info(index) | dict(gt_score=score)

    schedule = [dict(LATE_MIXUP, action_epoch=2)]
    hook = dict(type='SwitchRecipeHook', schedule=schedule)
    started('ce', tmp_path, give_shares, custom_hooks=[hook])


@MODELS.register_module()
class WithoutHead(BaseModel):
    """A model with a loss and no head, as TimmClassifier."""

    def __init__(self, data_preprocessor=None):
        super().__init__(data_preprocessor)
        self.net = nn.Linear(1, 1)
        self.loss_module = CrossEntropyLoss()

    def forward(self, inputs, data_samples=None, mode='tensor'):
        """Return nothing: it is not trained."""


@pytest.mark.parametrize(
    ('loss', 'message'),
    [
        (dict(type='FocalLoss'), None),
        (dict(type='mmimbal.BalancedSoftmaxLoss'), 'needs class counts'),
        (dict(type='mmimbal.SupConLoss'), 'SupConLoss does not'),
    ],
)
def test_a_model_may_have_no_head(loss, message, tmp_path):
    hook = dict(type='SwitchRecipeHook', schedule=[dict(action_epoch=2, loss=loss)])
    model = dict(_delete_=True, type='mmimbal.WithoutHead')
    options = NO_COUNTS | dict(model=model, custom_hooks=[hook])
    if message is None:
        started('ce', tmp_path, **options)
        return
    with pytest.raises(ValueError, match=message):
        started('ce', tmp_path, **options)


@pytest.mark.parametrize(
    ('resumed', 'epoch', 'names'),
    [(False, 0, 'abc'), (True, 1, 'abc'), (True, 2, 'bc'), (True, 9, '')],
)
def test_changes_are_those_that_come_of_all_hooks_in_their_order(resumed, epoch, names):
    hooks = [
        SwitchRecipeHook([dict(action_epoch=n, loss=dict(type=kind))])
        for n, kind in ((5, CrossEntropyLoss), (2, FocalLoss))
    ]
    hooks.append(SwitchRecipeHook([dict(action_epoch=3, batch_augments=None)]))
    runner = SimpleNamespace(hooks=hooks, _resume=resumed, epoch=epoch)
    letters = {'FocalLoss': 'a', None: 'b', 'CrossEntropyLoss': 'c'}
    found = [
        letters[type(each['loss']).__name__ if 'loss' in each else None]
        for each in switched_recipes(runner)
    ]
    assert ''.join(found) == names


@pytest.mark.parametrize(
    ('word', 'options'),
    [
        ('triplet', NO_EPOCH | NO_COUNTS),
        ('triplet', MIXED | {'model.head.metric_weight': 0.0}),
        ('kcl', ONE_VIEW | {'model.head.metric_weight': 0.0}),
        ('bcl_views', MIXED),
        ('bcl_views', CONTROL | UNMARKED),
        ('bcl_views', CONTROL | UNMARKED | WRAPPED),
        ('etf', MIXED),
        ('experts', MIXED),
    ],
)
def test_nothing_else_is_asked_for(word, options, tmp_path):
    started(word, tmp_path, **options)


@TRANSFORMS.register_module()
class TwoCrops(BaseTransform):
    """Two views by a transform of somebody's own."""

    def transform(self, results):
        return results | dict(img=[results['img'], results['img']])


@pytest.mark.parametrize(
    'views',
    [
        dict(type='mmimbal.TwoCrops'),
        dict(type='RandomApply', transforms=views_of(2)[:1], prob=1.0),
    ],
)
def test_views_that_are_not_known_may_be_there(views, tmp_path):
    pipeline = [views, dict(type='PackInputs')]
    started('kcl', tmp_path, **{'train_dataloader.dataset.pipeline': pipeline})


def test_class_counts_may_be_set_by_hand(tmp_path):
    def set_counts(runner):
        for module in runner.model.modules():
            if hasattr(module, 'set_class_counts'):
                module.set_class_counts(np.full(10, 5))

    started('experts', tmp_path, set_counts, **NO_COUNTS)


def test_needs_are_those_of_all_modules():
    head = MODELS.build(
        dict(
            type='mmimbal.MetricLearningClsHead',
            num_classes=3,
            in_channels=4,
            final_metric_weight=0.1,
            metric_loss=dict(type='mmimbal.TripletMarginLoss'),
            loss=dict(type='mmimbal.LDAMLoss', reweight_epoch=2),
        )
    )
    needs = needs_of(head)
    assert list(needs) == [
        'several images in a batch',
        'one label per image',
        'the epoch',
        'class counts',
    ]
    assert needs['the epoch'] is head and needs['class counts'] is head.loss_module


def test_one_class_is_refused():
    for name in ('triplet', 'centre'):
        head = load_experiment(f'digits_lt/digits/{name}').model.head
        with pytest.raises(ValueError, match='num_classes=1: a metric loss compares'):
            MODELS.build(dict(head, num_classes=1))


@pytest.mark.parametrize('name', ['proco', 'gpaco', 'centre', 'range', 'kcl', 'bcl'])
def test_a_miner_is_refused_when_the_head_is_built(name):
    head = load_experiment(f'digits_lt/digits/{name}').model.head
    miner = dict(type='mmimbal.MultiSimilarityMiner')
    with pytest.raises(ValueError, match='takes no miner'):
        MODELS.build(dict(head, miner=miner))
