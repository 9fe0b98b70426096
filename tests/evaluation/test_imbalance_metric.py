import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator
from mmpretrain.structures import DataSample
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

from mmimbal.evaluation import ImbalanceMetric
from mmimbal.files.checkpoint import load_from_local
from tests.conftest import tiny_digits, train
from tests.distributed import run_on_ranks

CLASSES = ('a', 'b', 'c', 'd')
LABELS = np.array([0] * 50 + [1] * 20 + [2] * 9)  # d is absent
PREDICTIONS = (LABELS + np.random.default_rng(0).integers(0, 2, len(LABELS))) % 4


def samples_of(labels=LABELS, predictions=PREDICTIONS):
    return [
        DataSample()
        .set_gt_label(int(label))
        .set_pred_score(torch.eye(4)[prediction])
        .to_dict()
        for label, prediction in zip(labels, predictions, strict=True)
    ]


def evaluate(metric, labels=LABELS, predictions=PREDICTIONS, classes=CLASSES):
    metric.dataset_meta = dict(classes=classes)
    samples = samples_of(labels, predictions)
    metric.process(None, samples[:30])
    metric.process(None, samples[30:])
    return metric.evaluate(len(samples))


@pytest.mark.filterwarnings('ignore')
def test_values_in_percent_equal_scikit_learn():
    metrics = evaluate(ImbalanceMetric(groups=dict(head=['a'], tail=['b', 'c', 'd'])))
    recalls = recall_score(
        LABELS, PREDICTIONS, labels=range(3), average=None, zero_division=0
    )
    expected = {
        'balanced_accuracy': 100 * balanced_accuracy_score(LABELS, PREDICTIONS),
        'macro_f1': 100 * f1_score(LABELS, PREDICTIONS, average='macro'),
        'head_recall': 100 * recalls[0],
        'tail_recall': 100 * recalls[1:].mean(),
        'recall/a': 100 * recalls[0],
        'recall/b': 100 * recalls[1],
        'recall/c': 100 * recalls[2],
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    assert 'recall/d' not in metrics and {'auroc', 'ece', 'mcc'} < set(metrics)


def test_groups_follow_from_counts_and_empty_ones_are_left_out(messages):
    metric = ImbalanceMetric()
    metric.set_class_counts(np.array([500, 300, 50, 40]))
    metrics = evaluate(metric)
    assert 'tail_recall' not in metrics
    assert metrics['medium_recall'] == pytest.approx(metrics['recall/c'])
    assert 'Not reported, because they have no classes: tail' in messages


def test_without_groups_or_counts_it_says_how_to_get_them(messages):
    assert 'head_recall' not in evaluate(ImbalanceMetric())
    assert any('ClassCountsHook' in message for message in messages)


def test_log_has_a_table_with_counts(messages):
    metric = ImbalanceMetric()
    metric.set_class_counts(np.array([500, 300, 50, 40]))
    metrics = evaluate(metric)
    table = next(message for message in messages if message.startswith('Recall per'))
    rows = [line.split() for line in table.splitlines()[3:]]
    assert rows[0] == ['a', '500', '50', f'{metrics["recall/a"]:.1f}']
    assert rows[3] == ['d', '40', '0', '-']


def test_classes_never_predicted_are_named(messages):
    evaluate(ImbalanceMetric(groups={}), predictions=LABELS % 2)
    assert 'No image was predicted as c, d' in messages


def test_class_names_are_required():
    with pytest.raises(ValueError, match='needs class names'):
        evaluate(ImbalanceMetric(), classes=None)


def test_without_a_data_set_classes_have_their_numbers():
    """As in MMPretrain's tools/analysis_tools/eval_metric.py."""
    metric = ImbalanceMetric(items=['recall'])
    metric.process(None, samples_of())
    found = metric.evaluate(len(LABELS))
    present = np.unique(LABELS)
    expected = recall_score(LABELS, PREDICTIONS, average=None, labels=present)
    assert [*found] == [f'recall/{k}' for k in present]
    np.testing.assert_allclose([*found.values()], 100 * expected)


def test_unknown_class_in_groups_is_named():
    with pytest.raises(ValueError, match='not classes of the dataset: nevus'):
        evaluate(ImbalanceMetric(groups=dict(head=['nevus'])))


def test_items_are_reported_and_nothing_else(messages):
    groups = dict(head=['a'], tail=['b', 'c', 'd'])
    everything = evaluate(ImbalanceMetric(groups))
    for items, names in (
        (['mcc', 'macro_f1'], {'mcc', 'macro_f1'}),
        (['recall'], {'recall/a', 'recall/b', 'recall/c'}),
        (['group_recall', 'ece'], {'head_recall', 'tail_recall', 'ece'}),
        (['tail_recall'], {'tail_recall'}),
        (['worst_recall'], {'worst_recall'}),
        ([], set()),
    ):
        messages.clear()
        found = evaluate(ImbalanceMetric(groups, items))
        assert found == {name: everything[name] for name in names}
        assert messages[0].startswith('Recall per class')


def test_groups_are_missed_only_if_they_are_asked_for(messages):
    evaluate(ImbalanceMetric(items=['macro_f1']))
    assert not any('ClassCountsHook' in message for message in messages)
    evaluate(ImbalanceMetric(items=['tail_recall']))
    assert any('ClassCountsHook' in message for message in messages)


@pytest.mark.parametrize(
    ('items', 'message'),
    [
        (
            ['mcc', 'macro-f1'],
            "item 'macro-f1'. Similar names: macro_f1. .* brier, recall",
        ),
        (['tail_recall'], "item 'tail_recall'. Similar names: .*recall.* rare_recall"),
        (['xyz'], "item 'xyz'. Its items are balanced_accuracy"),
        ('mcc', "items='mcc' must be a list"),
    ],
)
def test_an_unknown_item_is_refused_at_once(items, message):
    with pytest.raises(ValueError, match=message):
        ImbalanceMetric(groups=dict(rare=['d']), items=items)


def test_prefix_stands_before_each_name():
    """As in MMPretrain, so that one evaluator can hold two."""
    plain = evaluate(ImbalanceMetric(groups={}))
    both = Evaluator(
        [
            dict(type='mmimbal.ImbalanceMetric', groups={}),
            dict(type='mmimbal.ImbalanceMetric', groups={}, prefix='x'),
        ]
    )
    both.dataset_meta = dict(classes=CLASSES)
    both.process(samples_of())
    found = both.evaluate(len(LABELS))
    assert found == plain | {f'x/{name}': value for name, value in plain.items()}


@pytest.mark.parametrize('key', ['macro_f1', 'recall/3', 'tail_recall'])
def test_drives_save_best(tmp_path, key):
    cfg = tiny_digits('stage1_ce', tmp_path, default_hooks__checkpoint__save_best=key)
    runner = train(cfg)
    best = next(tmp_path.glob(f'best_{key.replace("/", "_")}_epoch_*.pth'))
    saved = load_from_local(best)['message_hub']['runtime_info']
    assert saved['best_score'] == runner.message_hub.get_info('best_score')


def evaluate_on_rank(rank):
    samples = samples_of()
    metric = ImbalanceMetric(groups={})
    metric.dataset_meta = dict(classes=CLASSES)
    sampler = DefaultSampler(samples, shuffle=False)
    metric.process(None, [samples[index] for index in sampler])
    return len(sampler), metric.evaluate(len(samples))


def test_images_repeated_to_fill_the_ranks_count_once():
    """79 images on 3 ranks: 27 each."""
    ranks = run_on_ranks(3, evaluate_on_rank)
    alone = evaluate(ImbalanceMetric(groups={}))
    assert [size for size, _ in ranks] == [27, 27, 27]
    assert all(metrics == alone for _, metrics in ranks)


def test_scores_in_bfloat16_are_read():
    metric = ImbalanceMetric()
    scores = torch.tensor([0.25, 0.75]).bfloat16()
    metric.process(None, [dict(pred_score=scores, gt_label=torch.tensor([1]))])
    (label, found) = metric.results[0]
    assert label == 1 and found.tolist() == [0.25, 0.75]


def test_several_labels_of_an_image_are_refused():
    sample = dict(pred_score=torch.ones(3), gt_label=torch.tensor([0, 2]))
    with pytest.raises(ValueError, match='one label per image, but an image has 2'):
        ImbalanceMetric().process(None, [sample])
