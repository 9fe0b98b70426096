from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch.utils.data import Subset

from mmimbal.experiments.sweep_methods import load_methods
from mmimbal.stage2.config import stage2_config
from mmimbal.stage2.head_run import HeadRun
from mmimbal.stage2.head_training import build_head
from mmimbal.stage2.stage1_features import Stage1Features
from mmimbal.stage2.sweep import Sweep
from tests.conftest import CONFIGS
from tests.stage2.test_head_training import Labels

COUNTS = dict(train=(1500, 100, 20), val=(30, 30, 30), test=(300, 300, 300))
SIZE = 4


def draw(split, views, folder):
    """Draw classes that overlap, so that the common one takes from the others."""
    random = np.random.default_rng(len(split))
    labels = np.repeat(np.arange(3), COUNTS[split])
    centres = 2.5 * np.eye(3, SIZE)
    features = np.memmap(
        folder / split, 'f4', mode='w+', shape=(views, len(labels), SIZE)
    )
    features[:] = centres[labels] + random.normal(size=features.shape)
    return Labels(labels), features


def sweep_in(folder):
    splits = {
        split: draw(split, 2 if split == 'train' else 1, folder) for split in COUNTS
    }
    datasets, features = (
        {split: pair[part] for split, pair in splits.items()} for part in (0, 1)
    )
    state = {'head.fc.weight': torch.randn(3, SIZE), 'head.fc.bias': torch.zeros(3)}
    state['backbone.weight'] = torch.ones(2)
    frozen = Stage1Features(datasets, features, state)
    return Sweep(frozen, folder / 'heads')


@pytest.fixture
def sweep(tmp_path):
    return sweep_in(tmp_path)


def run(name='crt', **options):
    """Return a run of a method, on features of this file."""
    stage1 = Config.fromfile(CONFIGS / 'digits_lt/stage1_ce.py')
    stage1.model.head.update(num_classes=3, in_channels=SIZE)
    stage1.train_dataloader.batch_size = 50
    base = Config.fromfile(CONFIGS / f'_base_/stage2/{name}.py')
    cfg = stage2_config(stage1, base, Path('best.pth'), views=2)
    return HeadRun(name, cfg, **options)


def train(sweep, runs):
    for each in runs:
        sweep.train_one(each)


def test_candidates_are_every_combination():
    search = {'a.b.lr': [0.1, 1.0], 'tau': [1, 2, 3]}
    found = run().candidates(search)
    assert len(found) == 6 and len({str(each) for each in found}) == 6
    assert str(found[1]) == 'lr 0.1, tau 2'
    assert [str(each) for each in run().candidates({})] == ['']


def test_a_fitted_head_has_one_seed():
    assert [each.seed for each in run().seeds(3)] == [0, 1, 2]
    assert [each.seed for each in run('nearest_mean').seeds(3)] == [0]


def test_a_moved_folder_has_the_same_heads(sweep, tmp_path):
    """The folder of features is named by their content, wherever it is."""
    name = sweep.file(run()).name
    for key, features in sweep.stage1.features.items():
        moved = tmp_path / 'elsewhere' / tmp_path.name
        moved.mkdir(parents=True, exist_ok=True)
        copied = np.memmap(moved / key, 'f4', mode='w+', shape=features.shape)
        copied[:] = features
        sweep.stage1.features[key] = copied
    assert sweep.file(run()).name == name


def test_a_row_is_known_by_all_it_depends_on(sweep):
    files = {sweep.file(run())}
    files.add(sweep.file(run(seed=1)))
    files.add(sweep.file(run(params={'optim_wrapper.optimizer.lr': 1.0})))
    other = run()
    other.cfg.train_cfg.max_epochs = 3
    files.add(sweep.file(other))
    features = sweep.stage1.features
    changed = sweep.folder.parent / 'other'  # the name has the hash of the content
    changed.mkdir()
    features['val'] = np.memmap(changed / 'val', 'f4', mode='w+', shape=(1, 90, SIZE))
    files.add(sweep.file(run()))
    assert len(files) == 5


def test_validation_chooses(sweep):
    key = 'optim_wrapper.optimizer.lr'
    runs = run().candidates({key: [1e-6, 0.05, float('inf')]})
    train(sweep, runs)
    assert sweep.read(runs[2])['val'] is None  # diverged
    chosen = sweep.choose(runs, 'balanced_accuracy')
    assert chosen.params == {key: 0.05}
    found = sweep.row(chosen.seeds(1))
    head = sweep.head(chosen)
    assert found.seeds[0]['test'] == sweep.score(head, 'test')
    assert found.seeds[0]['test'] != found.seeds[0]['val']
    with pytest.raises(ValueError, match=r'diverged with lr inf'):
        sweep.choose(runs[2:], 'balanced_accuracy')


def test_stage_1_as_it_is(sweep):
    cfg = Config(
        dict(
            model=dict(head=dict(type='LinearClsHead', num_classes=3, in_channels=SIZE))
        )
    )
    found = sweep.row_of_stage1(cfg).seeds[0]
    weight = sweep.stage1.state['head.fc.weight'].numpy()
    predicted = (sweep.stage1.features['test'][0] @ weight.T).argmax(1)
    labels = sweep.stage1.datasets['test'].labels
    recall = [(predicted[labels == k] == k).mean() for k in range(3)]
    assert found['test']['balanced_accuracy'] == pytest.approx(100 * np.mean(recall))
    sweep.stage1.state['head.fc.weight'][0, 0] = float('nan')
    assert sweep.row_of_stage1(cfg).seeds == [dict(seed=0, val=None, test=None)]


def test_what_cannot_be_trained_says_why_and_stops_nothing(sweep):
    wrong = run()
    wrong.cfg.model.head.in_channels = 8
    runs = [wrong, *run('knn').candidates({'model.head.k': [9999, 5]})]
    train(sweep, runs)
    with pytest.raises(ValueError, match='in_channels=8'):
        sweep.choose(runs[:1], 'macro_f1')
    assert sweep.choose(runs[1:], 'macro_f1').params == {'model.head.k': 5}
    assert 'k=9999 neighbours of 3240' in sweep.read(runs[1])['error']


def test_another_head_of_stage_1_is_another_sweep(sweep):
    first = sweep.file(run('lws'))
    state = sweep.stage1.state | {'head.fc.bias': torch.ones(3)}
    frozen = Stage1Features(sweep.stage1.datasets, sweep.stage1.features, state)
    assert Sweep(frozen, sweep.folder).file(run('lws')) != first


@pytest.fixture(scope='module')
def plain(tmp_path_factory):
    """Return the head of cross-entropy, and its scores."""
    sweep = sweep_in(tmp_path_factory.mktemp('plain'))
    plain = run()
    plain.cfg.train_dataloader.sampler = dict(type='DefaultSampler', shuffle=True)
    head = sweep.head(plain)
    state = {f'head.{key}': value for key, value in head.state_dict().items()}
    return state, sweep.score(head, 'test')


@pytest.mark.parametrize('name', load_methods(['all']))
def test_it_learns_what_cross_entropy_gets_wrong(name, sweep, plain):
    state, plain = plain
    sweep.stage1.state |= state  # the classifier of stage 1
    rates = {'optim_wrapper.optimizer.lr': [0.004, 0.05]}
    first = run(name)
    runs = first.candidates({} if first.is_fitted else rates)
    for each in runs:
        sweep.train_one(each)
    found = sweep.score(sweep.trained(sweep.choose(runs, 'balanced_accuracy')), 'test')
    assert plain['recall/c'] < 70
    assert found['recall/c'] > plain['recall/c'] + 15
    assert found['balanced_accuracy'] > plain['balanced_accuracy'] + 3


def test_adjusting_twice_is_noted(sweep):
    """The heads of a sweep get the classifier of stage 1 without its backbone."""
    method = run('posthoc_logit_adjustment')
    assert method.config.model.head.tau > 0 and sweep.note(method) == ''
    sweep.stage1.rebalanced_by = 'BalancedSoftmaxLoss'
    note = sweep.note(method)
    assert note.startswith(f'{method.method}: Stage 1 was trained with Balanced')
    assert sweep.note(run('crt')) == ''
    method.params['model.head.tau'] = 0.0
    assert sweep.note(method) == ''


def test_predictions_know_the_number_of_different_training_images(sweep):
    train = sweep.stage1.datasets['train']
    head = build_head(run().config.model.head, 0, {}, (SIZE,))
    assert sweep.predict(head, 'val').about['training_images'] == sum(COUNTS['train'])
    sweep.stage1.datasets['train'] = Subset(train, [0, 1, 1, 0, 1, 1600, 1500])
    found = sweep.predict(head, 'val')
    assert found.about['training_images'] == 4 and found.class_counts.sum() == 7
