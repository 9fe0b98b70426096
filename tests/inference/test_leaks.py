"""Which groups a model has seen is kept, and an ensemble is not scored on them."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from mmpretrain import ImageClassificationInferencer

from mmimbal.datasets import CSVDataset, DigitsLT
from mmimbal.datasets.group_hashes import groups_or_files, hash_groups
from mmimbal.datasets.sources import plan_dataset, read_csv, write_plan
from mmimbal.evaluation.predictions import load_predictions
from mmimbal.files.checkpoint import load_from_local
from mmimbal.files.work_dir import find_checkpoint
from mmimbal.inference.find_images import find_images
from mmimbal.inference.leaks import check_no_leak, describe_leak
from tests.conftest import rows_of, tiny_digits, train, write_index
from tests.inference.conftest import CLASSES, PIPELINE, config_of, read_table
from tests.inference.test_predict import probabilities, table_of
from tests.tools import explain


def groups_in(checkpoint):
    return load_from_local(checkpoint)['meta']['training_groups'].numpy()


def groups_of(folder, split, column='split'):
    return CSVDataset(str(folder), split, column, test_mode=True).get_groups()


def test_hashes_are_those_of_the_names():
    first, second = hash_groups(['b', 'a', 'b']), hash_groups(['a', 'b'])
    assert np.array_equal(first, second) and len(first) == 2
    assert not set(first) & set(hash_groups(['c', 'A']))
    assert len(hash_groups(map(str, range(10_000)))) == 10_000


def test_a_checkpoint_knows_its_training_groups(data, members):
    found = groups_in(find_checkpoint(str(members / 'fold0')))
    assert np.array_equal(found, hash_groups(groups_of(data, 'train')))


def test_stage_2_knows_those_of_stage_1_too(data, members, tmp_path):
    cfg = config_of(data, tmp_path / 'stage2', seed=0)
    cfg.train_dataloader.dataset.split = 'val'  # other groups than those of stage 1
    stage2 = tiny_digits('stage2_crt', tmp_path / 'stage2', train_cfg__max_epochs=1)
    stage2.default_hooks.two_stage.stage1 = str(members / 'fold0')
    stage2.model.head.num_classes = len(CLASSES)
    for key in ('train_dataloader', 'val_dataloader', 'val_evaluator'):
        stage2[key] = cfg[key]
    train(stage2)
    both = [*groups_of(data, 'train'), *groups_of(data, 'val')]
    found = groups_in(tmp_path / 'stage2' / 'epoch_1.pth')
    assert np.array_equal(found, hash_groups(both))
    stage2.resume, stage2.train_cfg.max_epochs = True, 2
    stage2.default_hooks.two_stage.stage1 = 'is gone'
    train(stage2)
    found = groups_in(tmp_path / 'stage2' / 'epoch_2.pth')
    assert np.array_equal(found, hash_groups(both))


def test_what_goes_on_from_a_checkpoint_knows_its_groups(data, members, tmp_path):
    cfg = config_of(data, tmp_path, seed=0)
    cfg.train_dataloader.dataset.split = 'val'
    cfg.load_from = str(find_checkpoint(str(members / 'fold0')))
    train(cfg)
    both = [*groups_of(data, 'train'), *groups_of(data, 'val')]
    found = groups_in(find_checkpoint(str(tmp_path)))
    assert np.array_equal(found, hash_groups(both))


def test_a_second_stage_with_other_images_adds_their_groups(data, tmp_path):
    cfg = config_of(data, tmp_path, seed=0)
    cfg.train_cfg.max_epochs = 2
    other = dict(train_dataloader=dict(dataset=dict(split='val')))
    cfg.default_hooks.two_stage = dict(
        type='mmimbal.TwoStageHook', epoch=1, stage2=other
    )
    train(cfg)
    first, second = (groups_in(tmp_path / f'epoch_{epoch}.pth') for epoch in (1, 2))
    assert np.array_equal(first, hash_groups(groups_of(data, 'train')))
    both = [*groups_of(data, 'train'), *groups_of(data, 'val')]
    assert np.array_equal(second, hash_groups(both))


def test_a_leak_is_named(capsys):
    meta = dict(training_groups=torch.from_numpy(hash_groups(['p1', 'p2', 'p3'])))
    check_no_leak({'one.pth': meta}, ['p4', 'p5', 'p4'])
    assert capsys.readouterr().out == ''
    with pytest.raises(ValueError, match=r'two\.pth was trained on 2 of the 3 groups'):
        check_no_leak({'one.pth': {}, 'two.pth': meta}, ['p0', 'p3', 'p1'])
    check_no_leak({'one.pth': {}, 'two.pth': {}}, ['p1'])
    warning = 'Warning: the groups of the training images are not stored in one.pth'
    assert capsys.readouterr().out.startswith(f'{warning} and two.pth: it cannot be')


def test_images_without_groups_and_files_may_be_known(capsys):
    """Their positions are no names: they are the same in every dataset."""
    digits = DigitsLT('test')
    assert groups_or_files(digits) is None
    check_no_leak({'one.pth': {}}, groups_or_files(digits))
    assert 'the images have neither groups nor files' in capsys.readouterr().out


def test_a_checkpoint_of_images_without_names_has_no_groups(tmp_path):
    train(tiny_digits('stage1_triplet', tmp_path, train_cfg__max_epochs=1))
    meta = load_from_local(tmp_path / 'epoch_1.pth')['meta']
    assert 'training_groups' not in meta


def test_predicting_a_split_with_an_ensemble(data, members, tmp_path, capsys):
    out = tmp_path / 'out.csv'
    leaking = explain('predict', members, data, '--split', 'train', '--out', out)
    assert 'was trained on 24 of the 24 groups' in leaking and not out.exists()
    assert explain('predict', members, data, '--split', 'test', '--out', out) is None
    one = members / 'fold0'  # may be asked for what it was trained on
    assert explain('predict', one, data, '--split', 'train', '--out', out) is None


@pytest.fixture(scope='module')
def published(members, tmp_path_factory):
    out = tmp_path_factory.mktemp('published') / 'both.pth'
    assert explain('publish', members, out) is None
    return out


def test_a_published_ensemble_predicts_like_its_members(
    published, data, members, tmp_path
):
    files = find_images([data], 'test')
    each = [probabilities(members / f'fold{k}', files) for k in (0, 1)]
    expected = np.mean(each, axis=0)
    out = tmp_path / 'out.csv'
    assert explain('predict', published, data, '--split', 'test', '--out', out) is None
    assert np.allclose(table_of(read_table(out)), expected, atol=2e-6)
    inferencer = ImageClassificationInferencer(
        str(published.with_suffix('.py')), str(published), device='cpu'
    )
    found = inferencer(files, batch_size=4)
    scores = np.stack([each['pred_scores'] for each in found])
    assert np.allclose(scores, expected, atol=2e-6)
    assert [each['pred_class'] for each in found] == [
        CLASSES[k] for k in expected.argmax(1)
    ]


@pytest.mark.parametrize('is_published', [True, False])
def test_an_ensemble_is_tested_with_the_config_of_its_members(
    is_published, published, data, members, tmp_path
):
    ensemble = published if is_published else members
    config_of(data, tmp_path, 0).dump(tmp_path / 'config.py')
    test = ['test', tmp_path / 'config.py', ensemble, '--work-dir', tmp_path / 'test']
    assert explain(*test, '--out', tmp_path / 'out.npz') is None
    found = load_predictions(tmp_path / 'out.npz')
    files = find_images([data], 'test')
    each = [probabilities(members / f'fold{k}', files) for k in (0, 1)]
    assert [str(data / file) for file in found.files] == files
    assert np.allclose(found.scores, np.mean(each, axis=0), atol=2e-6)
    leaking = explain(*test, '--split', 'train', '--out', tmp_path / 'leak.npz')
    assert 'was trained on 24 of the 24 groups' in leaking
    assert not (tmp_path / 'leak.npz').exists()
    embeddings = explain(*test, '--embeddings', '--out', tmp_path / 'leak.npz')
    assert 'but EnsembleClassifier has none: give one model' in embeddings


def test_a_published_file_of_another_version_is_told(published, data, tmp_path):
    other = load_from_local(published)
    state = other['state_dict']
    state['members.0.head.fc.renamed'] = state.pop('members.0.head.fc.weight')
    other['meta']['mmimbal_version'] = '0.0.1'
    torch.save(other, tmp_path / 'other.pth')
    shutil.copy(published.with_suffix('.py'), tmp_path / 'other.py')
    out = tmp_path / 'out.csv'
    said = explain('predict', tmp_path / 'other.pth', data / 'images', '--out', out)
    assert 'was written by mmimbal 0.0.1' in said and 'publish it again' in said
    assert 'members.0.head.fc.weight' in said and not out.exists()


def test_an_ensemble_is_not_tested_on_images_of_another_size(published, data, tmp_path):
    cfg = config_of(data, tmp_path, 0)
    pipeline = [*PIPELINE[:1], dict(type='CenterCrop', crop_size=6), *PIPELINE[2:]]
    cfg.test_dataloader.dataset.pipeline = pipeline
    cfg.dump(tmp_path / 'config.py')
    flags = ['--work-dir', tmp_path / 'test', '--out', tmp_path / 'out.npz']
    said = explain('test', tmp_path / 'config.py', published, *flags)
    assert "'crop_size': 8" in said and "'crop_size': 6" in said
    assert 'give the config of its members' in said


def test_one_model_is_told_of_images_it_was_trained_on(data, members):
    meta = load_from_local(find_checkpoint(str(members / 'fold0')))['meta']
    found = describe_leak(meta, groups_of(data, 'train'))
    assert found.startswith('24 of the 24 groups (lesions')
    assert describe_leak(meta, groups_of(data, 'test')) == ''
    assert describe_leak({}, ['p1']) == describe_leak(meta, None) == ''


def test_predictions_keep_their_split_and_a_leak(data, members, tmp_path):
    config, out = tmp_path / 'config.py', tmp_path / 'out.npz'
    config_of(data, tmp_path, 0).dump(config)
    test = ['test', config, members / 'fold0', '--work-dir', tmp_path, '--out', out]
    for flags, split in (([], 'test'), (['--split', 'train'], 'train')):
        assert explain(*test, *flags) is None
        about = load_predictions(out).about
        assert (about['split'], about['leak']) == (split, '')
    shutil.copytree(data, tmp_path / 'turned')  # as another fold, or a new split
    index = tmp_path / 'turned' / 'index.csv'
    lines = index.read_text().splitlines()
    turned = {'train': 'test', 'test': 'train'}
    for number, line in enumerate(lines):
        rest, _, split = line.rpartition(',')
        lines[number] = f'{rest},{turned.get(split, split)}'
    index.write_text('\n'.join(lines))
    config_of(tmp_path / 'turned', tmp_path, 0).dump(config)
    assert explain(*test) is None
    assert '24 of the 24 groups' in load_predictions(out).about['leak']


def test_folds_beside_the_test_images(tmp_path):
    """Each image that is not in test is validated on once."""
    rows = rows_of(['a', 'b'], dict(train=30, val=5, test=10))
    source = read_csv(write_index(tmp_path / 'src', rows))
    write_plan(plan_dataset(source, folds=5, keep_test=True), tmp_path / 'out')
    with open(tmp_path / 'out/index.csv', newline='', encoding='utf-8') as file:
        table = list(csv.DictReader(file))
    for row in table:
        folds = [row[f'fold{k}'] for k in range(5)]
        if row['split'] == 'test':
            assert folds == ['test'] * 5
        else:
            assert sorted(folds) == ['train'] * 4 + ['val']
    described = json.loads((tmp_path / 'out/dataset.json').read_text())['split']
    assert 'test is that of the split in all folds' in described
