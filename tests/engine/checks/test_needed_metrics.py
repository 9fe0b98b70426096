"""A metric that validation cannot report is an error before training."""

import numpy as np
import pytest
from mmengine.hooks import Hook

from mmimbal.engine.checks import needed_metrics
from mmimbal.engine.hooks import check_run_hook
from mmimbal.evaluation.imbalance_metric import ImbalanceMetric
from tests.conftest import tiny_digits, train

SAVE_BEST = 'default_hooks.checkpoint.save_best'
RULE = 'default_hooks.checkpoint.rule'
IMAGES = 'val_dataloader.dataset.indices'  # 20 per class, sorted by class
METRIC = dict(type='mmimbal.ImbalanceMetric')
PLATEAU = dict(type='ReduceOnPlateauLR', monitor='ecee')
STOPPING = dict(
    type='EarlyStoppingHook', monitor='macro_f', rule='greater', strict=True
)
SAMPLING = {
    'train_dataloader.sampler': dict(
        _delete_=True, type='mmimbal.ClassBalancedSampler'
    ),
    'custom_hooks': [dict(type='mmimbal.DifficultySamplingHook')],
}
WRONG = {
    'typo': (
        {SAVE_BEST: 'balanced_acuracy'},
        "save_best .* 'balanced_acuracy', .* not report it. Similar names: balanced_ac",
    ),
    'no similar name': ({SAVE_BEST: 'xyz'}, "'xyz', .* It reports: balanced_accuracy"),
    'class without images': (
        {SAVE_BEST: 'recall/9', IMAGES: 180},
        'class 9 has no validation image. Similar names: recall/',
    ),
    'class of several': (
        {SAVE_BEST: ['macro_f1', 'recall/8'], IMAGES: 160},
        "'recall/8', .*: class 8 has no validation image",
    ),
    'group without images': (
        {SAVE_BEST: 'head_recall', IMAGES: list(range(20, 200))},
        'class 0 has no validation image',
    ),
    'group without classes': (
        {SAVE_BEST: 'tail_recall', 'train_dataloader.dataset.ratio': 4},
        'group tail has no classes',
    ),
    'a single class': (
        {SAVE_BEST: 'auroc', IMAGES: 20},
        'class 1, 2, 3, 4, 5, 6, 7, 8, 9 has no validation image',
    ),
    'prefix': ({'val_evaluator.prefix': 'x'}, 'Similar names: x/balanced_accuracy'),
    'items': ({SAVE_BEST: 'mcc', 'val_evaluator.items': ['recall']}, 'It reports: '),
    'other metrics too': (
        {
            SAVE_BEST: 'recall/9',
            IMAGES: 180,
            'val_evaluator': [METRIC, dict(type='Accuracy')],
        },
        'class 9 has no validation image',
    ),
    'groups of other classes': (
        {'val_evaluator.groups': dict(tail=['nine'])},
        'not classes of the dataset: nine',
    ),
    'the largest error': (
        {SAVE_BEST: 'ece'},
        "CheckpointHook has rule='greater', but smaller is better for ece: set rule='l",
    ),
    'the smallest of one, too': (
        {SAVE_BEST: ['macro_f1', 'brier'], RULE: ['greater', 'greater']},
        'smaller is better for brier',
    ),
    'the smallest accuracy': (
        {'custom_hooks': [dict(STOPPING, monitor='macro_f1', rule='less')]},
        'EarlyStoppingHook has .* greater is better for macro_f1',
    ),
    'schedule of the wrong rule': (
        {'param_scheduler': [dict(PLATEAU, monitor='brier', rule='greater')]},
        'ReduceOnPlateauLR has .* smaller is better for brier',
    ),
    'schedule': (
        {'param_scheduler': [PLATEAU]},
        'monitor of ReduceOnPlateauLR .* Similar names: ece',
    ),
    'early stopping': (
        {'custom_hooks': [STOPPING]},
        'monitor of EarlyStoppingHook .* Similar names: macro_f1',
    ),
    'class weights by recall': (
        {**SAMPLING, IMAGES: 180},
        "DifficultySamplingHook .* 'recall/9', .* class 9 has no validation image",
    ),
}


def config(work_dir, changes):
    cfg = tiny_digits('stage1_ce', work_dir, train_cfg__max_epochs=1)
    cfg.merge_from_dict(changes)
    return cfg


class Steps(Hook):
    """Count the iterations."""

    count = 0

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.count += 1


@pytest.mark.parametrize('name', WRONG)
def test_it_is_an_error_before_training(name, tmp_path):
    changes, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        train(config(tmp_path, changes), steps := Steps())
    assert steps.count == 0


@pytest.mark.parametrize('name', ['typo', 'class without images', 'items'])
def test_without_the_check_it_fails_after_the_epoch(name, tmp_path, monkeypatch):
    monkeypatch.setattr(check_run_hook, 'check_needed_metrics', lambda runner: None)
    with pytest.raises(KeyError):
        train(config(tmp_path, WRONG[name][0]), steps := Steps())
    assert steps.count == 5


RIGHT = {
    'auto': {SAVE_BEST: 'auto'},
    'a class with images': {SAVE_BEST: 'recall/3', IMAGES: 180},
    'prefix': {SAVE_BEST: 'x/mcc', 'val_evaluator.prefix': 'x'},
    'the smallest error': {SAVE_BEST: 'ece', RULE: 'less'},
    'metric of another package': {
        SAVE_BEST: 'accuracy/top1',
        'val_evaluator': dict(type='Accuracy'),
    },
    'one of two packages': {
        SAVE_BEST: 'accuracy/top1',
        'val_evaluator': [METRIC, dict(type='Accuracy')],
    },
    'none': {SAVE_BEST: None},
    'no validation': {
        'val_cfg': None,
        'val_dataloader': None,
        'val_evaluator': None,
        SAVE_BEST: 'balanced_acuracy',
    },
}


@pytest.mark.parametrize('name', RIGHT)
def test_what_can_be_reported_is_trained(name, tmp_path):
    train(config(tmp_path, RIGHT[name]), steps := Steps())
    assert steps.count == 5


def test_labels_that_cannot_be_read_are_not_judged(tmp_path, monkeypatch):
    def no_labels(dataset):
        raise TypeError('cannot read the labels')

    monkeypatch.setattr(needed_metrics, 'get_class_counts', no_labels)
    train(config(tmp_path, {}), steps := Steps())
    assert steps.count == 5


@pytest.mark.parametrize('counts', [(3, 1, 5), (9, 0, 4), (1, 0, 0), (2, 2, 0)])
@pytest.mark.parametrize('items', [None, ['recall', 'auroc', 'low_recall']])
def test_names_are_those_of_a_validation(counts, items):
    metric = ImbalanceMetric(dict(low=['b', 'c'], high=['a']), items, prefix='p')
    metric.dataset_meta = dict(classes=['a', 'b', 'c'])
    labels = np.repeat(range(3), counts)
    scores = np.random.default_rng(0).dirichlet([1, 1, 1], len(labels))
    found = metric.compute_metrics(list(zip(labels, scores, strict=True)))
    if np.count_nonzero(counts) == 1:  # undefined if all images are classified right
        found.pop('kappa', None)
    assert metric.names(np.array(counts)) == [f'p/{name}' for name in found]


def test_the_smallest_error_is_the_best(tmp_path):
    changes = {SAVE_BEST: ['macro_f1', 'ece'], RULE: ['greater', 'less']}
    train(config(tmp_path, changes))
    assert [*tmp_path.glob('best_ece_*')] and [*tmp_path.glob('best_macro_f1_*')]
