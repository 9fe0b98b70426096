"""tools/test.py: what it writes, several views of an image, and pictures."""

import json
from copy import deepcopy
from pathlib import Path

import cv2
import mmengine
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import DumpResults
from mmengine.model import BaseTTAModel
from mmengine.runner import Runner
from mmpretrain.registry import MODELS

from mmimbal.datasets import DigitsLT
from mmimbal.engine.test_run.tta import load_views
from mmimbal.evaluation.metrics import summarise
from mmimbal.evaluation.predictions import load_predictions
from tests.conftest import CONFIGS, rows_of, tiny_digits, write_index
from tests.tools import OPTIONS, explain, succeed

LEAF = 'configs/digits_lt/stage1_ce.py'
WEIGHTS = (0.5, 0.3, 0.2)
RED = (0, 0, 200)  # as OpenCV has it


def save_net(cfg: Config, file: Path) -> torch.nn.Module:
    """Write the checkpoint of a net that nothing has trained, and return the net."""
    model = MODELS.build(cfg.model)
    model.init_weights()
    model.head.fc.weight.data *= 300  # scores far from each other
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, file)
    return model.eval()


@pytest.fixture(scope='module')
def net(tmp_path_factory):
    """Return the checkpoint of a tiny net, and the net."""
    folder = tmp_path_factory.mktemp('net')
    file = folder / 'net.pth'
    return file, save_net(tiny_digits('stage1_ce', folder), file)


def run_test(checkpoint, folder, *flags, config=LEAF):
    work_dir = ['--work-dir', folder / 'logs', '--cfg-options', *OPTIONS]
    return succeed('tools/test.py', config, checkpoint, *flags, *work_dir)


@torch.no_grad()
def scores_of(model, images):
    """Return the probabilities of images, (N, H, W, 3), by hand."""
    inputs = (torch.tensor(images).permute(0, 3, 1, 2).float() - 75) / 90
    return model.head.fc(model.neck(model.backbone(inputs))[-1]).softmax(1).numpy()


def test_the_scores_of_an_image_and_its_mirror_image_are_averaged(net, tmp_path):
    checkpoint, model = net
    files = [tmp_path / name for name in ('x.npz', 'x.json', 'x.pkl')]
    run_test(checkpoint, tmp_path, '--tta', '--out', *files)
    dataset = DigitsLT('test')
    images = np.stack([dataset[index]['img'] for index in range(len(dataset))])
    views = scores_of(model, images), scores_of(model, images[:, :, ::-1].copy())
    expected = np.mean(views, 0)
    assert np.abs(views[0] - expected).mean() > 0.02
    found = load_predictions(files[0])
    assert found.scores == pytest.approx(expected, abs=1e-5)
    metrics = json.loads(files[1].read_text())
    again = summarise(expected, found.labels, found.classes)
    assert metrics['macro_f1'] == pytest.approx(again['macro_f1'])
    samples = mmengine.load(files[2])
    scores = torch.stack([sample['pred_score'] for sample in samples])
    assert scores.numpy() == pytest.approx(expected, abs=1e-5)
    labels = torch.cat([sample['pred_label'] for sample in samples])
    assert labels.equal(scores.argmax(1))  # not those of the first view
    assert (labels.numpy() != views[1].argmax(1)).any()
    assert 'TestTimeAug' in found.about['config']


@MODELS.register_module()
class WeightedViews(BaseTTAModel):
    def merge_preds(self, data_samples_list):
        return [
            views[0].set_pred_score(
                sum(w * view.pred_score for w, view in zip(WEIGHTS, views, strict=True))
            )
            for views in data_samples_list
        ]


def test_views_and_model_of_the_config_are_used(net, tmp_path):
    checkpoint, model = net
    flips = [
        dict(type='RandomFlip', prob=1.0, direction=direction)
        for direction in ('vertical', 'horizontal', 'diagonal')
    ]
    cfg = dict(
        _base_=str(CONFIGS / 'digits_lt/stage1_ce.py'),
        tta_pipeline=[
            dict(type='TestTimeAug', transforms=[flips, [dict(type='PackInputs')]])
        ],
        tta_model=dict(type='mmpretrain.WeightedViews'),
    )
    config = tmp_path / 'mine.py'
    config.write_text('\n'.join(f'{key} = {value!r}' for key, value in cfg.items()))
    out = tmp_path / 'x.npz'
    said = run_test(checkpoint, tmp_path, '--tta', '--out', out, config=config)
    assert said.rstrip().endswith(f'Written: {out}')
    dataset = DigitsLT('test')
    images = np.stack([dataset[index]['img'] for index in range(len(dataset))])
    flipped = images[:, ::-1], images[:, :, ::-1], images[:, ::-1, ::-1]
    scores = [scores_of(model, view.copy()) for view in flipped]
    expected = np.average(scores, 0, WEIGHTS)
    assert load_predictions(out).scores == pytest.approx(expected, abs=1e-5)


def test_a_choice_of_views_goes_before_those_of_the_config():
    crop = dict(type='mmcv.CenterCrop', crop_size=(6, 4))
    rest = [dict(type='Normalize'), dict(type='Pack')]
    pipeline = [dict(type='CenterCrop', crop_size=9), crop, *rest]
    cfg = Config(
        dict(
            test_dataloader=dict(dataset=dict(type='A', pipeline=pipeline)),
            tta_pipeline=[dict(type='Mine')],
            tta_model=dict(type='MyViews'),
        )
    )
    before = deepcopy(cfg)
    load_views(before)
    assert before.test_dataloader.dataset.pipeline == [dict(type='Mine')]
    assert before.tta_model.type == 'MyViews'
    load_views(cfg, 'crops')
    first, views = cfg.test_dataloader.dataset.pipeline
    assert first == pipeline[0] and 'tta_model' not in cfg
    crops, flips, *after = views.transforms
    assert [(each.x, each.y) for each in crops] == [
        *((0, 0), (1, 0), (0, 1), (1, 1), (0.5, 0.5))
    ]
    assert {(each.type, each.crop_size) for each in crops} == {
        ('mmimbal.CropAt', (6, 4))
    }
    assert [flip.prob for flip in flips] == [1.0, 0.0]
    assert after == [[each] for each in rest]
    lacking = dict(dataset=dict(pipeline=[dict(type='EfficientNetCenterCrop')]))
    with pytest.raises(ValueError, match=r'need a CenterCrop .* EfficientNetCenter'):
        load_views(Config(dict(test_dataloader=lacking)), 'crops')


def test_a_test_set_inside_a_wrapper_and_one_without_a_pipeline():
    inner = dict(type='DigitsLT', pipeline=[dict(type='Resize'), dict(type='Pack')])
    loader = dict(dataset=dict(type='RepeatDataset', dataset=inner))
    cfg = Config(dict(test_dataloader=loader))
    load_views(cfg)
    resize, views = cfg.test_dataloader.dataset.dataset.pipeline
    assert (resize.type, views.type) == ('Resize', 'TestTimeAug')
    assert [flip.prob for flip in views.transforms[0]] == [1.0, 0.0]
    assert views.transforms[1] == [dict(type='Pack')]
    with pytest.raises(ValueError, match='DigitsLT has none'):
        load_views(Config(dict(test_dataloader=dict(dataset=dict(type='DigitsLT')))))


def same(one, other) -> bool:
    """Compare dicts of tensors."""
    return one.keys() == other.keys() and all(
        torch.equal(one[key], other[key])
        if isinstance(one[key], torch.Tensor)
        else one[key] == other[key]
        for key in one
    )


def test_samples_are_those_of_mmpretrain(net, tmp_path):
    checkpoint, _ = net
    cfg = tiny_digits('stage1_ce', tmp_path, load_from=str(checkpoint))
    runner = Runner.from_cfg(cfg)
    runner.load_checkpoint(str(checkpoint))
    theirs = tmp_path / 'theirs.pkl'
    runner.test_loop.evaluator.metrics.append(DumpResults(str(theirs)))
    metrics = runner.test()
    expected = mmengine.load(theirs)
    files = [tmp_path / name for name in ('x.pkl', 'x.json', 'x.npz')]
    run_test(checkpoint, tmp_path, '--out', *files, '--out-item', 'pred')
    found = mmengine.load(files[0])
    assert len(found) == len(expected) == 500
    assert all(map(same, found, expected))
    plain = json.loads(files[1].read_text())
    assert plain[7]['pred_score'] == expected[7]['pred_score'].tolist()
    assert plain[7]['gt_label'] == expected[7]['gt_label'].tolist()
    scores = torch.stack([sample['pred_score'] for sample in expected])
    assert load_predictions(files[2]).scores == pytest.approx(scores.numpy())

    files = [tmp_path / name for name in ('y.pickle', 'y.yaml')]
    run_test(checkpoint, tmp_path, '--out', *files, '--out-item', 'metrics')
    for file in files:
        assert mmengine.load(file) == pytest.approx(metrics)


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (['--out-item', 'pred'], '--out-item needs --out'),
        (['--cfg-options', 'a.b', '1'], '--cfg-options a.b: expected KEY=VALUE'),
        (['--cfg-options', 'model.a=[1,2'], '--cfg-options model.a=[1,2: Imbalanced'),
        (['--cfg-options', "a=[dict(type='x',y=1)]"], 'a value cannot hold a dict'),
        (['--out', 'x.txt'], 'x.txt must end in one of .json, '),
        (['--out', 'x.json', '--embeddings'], '--embeddings needs --out FILE.npz'),
        (['--out', 'x.npz', '--embeddings', '--tta'], '--tta has several'),
        (['--show-dir', 'x', '--interval', '0'], 'at least 1'),
        (['--out', f'{__file__}/x.npz'], 'is a file, but a folder is to be created'),
    ],
)
def test_flags_that_do_not_fit_are_refused(flags, message, capsys):
    assert explain('test', LEAF, 'none.pth', *flags) == 2
    assert message in capsys.readouterr().err


def test_a_published_config_has_no_test(tmp_path):
    (tmp_path / 'x.py').write_text(
        "model = dict(type='ImageClassifier')\n"
        "test_dataloader = dict(dataset=dict(pipeline=[dict(type='PackInputs')]))"
    )
    message = explain('test', tmp_path / 'x.py', tmp_path / 'x.pth')
    assert 'has no test_cfg or no test_evaluator, as a published config' in message


def test_a_file_is_no_folder_for_pictures(tmp_path):
    (tmp_path / 'file').write_text('kept')
    message = explain('test', LEAF, 'none.pth', '--show-dir', tmp_path / 'file')
    assert message.startswith('test: ') and 'file is a file' in message


@pytest.fixture(scope='module')
def red(tmp_path_factory):
    """Return a config of red images, two of which have one name, and a checkpoint."""
    folder = tmp_path_factory.mktemp('red')
    rows = rows_of(['a', 'b'], {'train': 1, 'test': 2})
    for row in rows[-4:]:
        row['file'] = f'{row["group"]}/same.png'
    write_index(folder, rows)
    for row in rows:
        cv2.imwrite(str(folder / row['file']), np.full((16, 16, 3), RED, np.uint8))
    cfg = tiny_digits('stage1_ce', folder)
    cfg.model.data_preprocessor.to_rgb = True
    cfg.model.head.num_classes = 2
    cfg.test_dataloader = dict(
        num_workers=0,
        batch_size=3,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(
            type='mmimbal.CSVDataset',
            split='test',
            data_root=str(folder),
            pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
        ),
    )
    cfg.pop('visualizer')
    save_net(cfg, folder / 'net.pth')
    cfg.dump(folder / 'red.py')
    return folder


@pytest.mark.parametrize('flags', [['--tta'], ['--interval', '2']])
def test_pictures_have_the_colours_of_the_images(flags, red, tmp_path):
    flags = ['--show-dir', tmp_path / 'pictures', *flags]
    run_test(red / 'net.pth', tmp_path, *flags, config=red / 'red.py')
    drawn = sorted((tmp_path / 'pictures').iterdir())
    numbers = range(0, 4, 2 if '--interval' in flags else 1)
    assert [file.name for file in drawn] == [f'{n:06}_same.png' for n in numbers]
    for file in drawn:
        picture = cv2.imread(str(file))
        assert picture.shape == (448, 448, 3)
        assert tuple(picture[-10, -10]) == RED
        assert (picture[:60] != RED).any()  # text


def test_a_model_of_other_classes_is_refused(net, tmp_path):
    """Its metrics would be those of other classes, without a word."""
    checkpoint = torch.load(net[0])
    names = [str(number) for number in range(9, -1, -1)]
    checkpoint['meta']['dataset_meta'] = dict(classes=names)
    torch.save(checkpoint, tmp_path / 'other.pth')
    flags = ['--work-dir', tmp_path / 'logs', '--cfg-options', *OPTIONS]
    message = explain('test', LEAF, tmp_path / 'other.pth', *flags)
    assert 'was trained on the classes 9, 8, ' in message
    assert 'but the data set has 0, 1, ' in message and 'another order' in message
    # More classes do not fit into the net either: that says less.
    checkpoint['meta']['dataset_meta'] = dict(classes=[*names, 'none'])
    state = checkpoint['state_dict']
    for key in ('head.fc.weight', 'head.fc.bias'):
        state[key] = torch.cat([state[key], state[key][:1]])
    torch.save(checkpoint, tmp_path / 'other.pth')
    message = explain('test', LEAF, tmp_path / 'other.pth', *flags)
    assert message.startswith(f'test: {tmp_path / "other.pth"} was trained on the clas')


def test_a_checkpoint_of_another_model_is_named(net, tmp_path):
    checkpoint = torch.load(net[0])
    del checkpoint['state_dict']['head.fc.bias']
    torch.save(checkpoint, tmp_path / 'other.pth')
    flags = ['--work-dir', tmp_path / 'logs', '--cfg-options', *OPTIONS]
    message = explain('test', LEAF, tmp_path / 'other.pth', *flags)
    assert f'other.pth is no checkpoint of {LEAF}: give the config' in message
    assert 'head.fc.bias' in message


def test_a_config_is_no_checkpoint(tmp_path):
    (tmp_path / 'x.py').write_text('a = 1')
    message = explain('test', LEAF, tmp_path / 'x.py', '--work-dir', tmp_path)
    assert 'x.py is a config, but a checkpoint is expected here' in message
