"""What a tool reads, or what an earlier run has left, is not replaced or mixed up."""

import shutil

import pytest
import torch
from mmengine.config import Config

from mmimbal.command_line.missing_files import check_is_no_data
from mmimbal.files.checkpoint import load_from_local
from mmimbal.files.work_dir import find_checkpoint, find_config, holds_training
from tests.tools import explain


@pytest.fixture
def trained(members, tmp_path):
    """Return a copy of a work dir."""
    outputs = shutil.ignore_patterns('test')  # of other tests
    return shutil.copytree(members / 'fold0', tmp_path / 'run', ignore=outputs)


@pytest.fixture
def published(members, tmp_path):
    """Return a published model."""
    file = tmp_path / 'published' / 'x.pth'
    assert explain('publish', members / 'fold0', file) is None
    return file


def contents(folder):
    return {file: file.read_bytes() for file in folder.rglob('*') if file.is_file()}


def test_a_test_in_the_work_dir_of_its_training_keeps_the_config(trained):
    config = find_config(find_checkpoint(str(trained)))
    before = contents(trained)
    flags = ['--work-dir', trained, '--tta', '--split', 'val']
    assert explain('test', config, trained, *flags) is None
    after = contents(trained)
    assert {file: after[file] for file in before} == before
    assert (trained / 'test' / config.name).is_file()


def test_a_test_does_not_resume(trained, tmp_path, capfd):
    """The config that a resumed training writes has ``resume=True``."""
    cfg = Config.fromfile(find_config(find_checkpoint(str(trained))))
    cfg.resume = True
    cfg.dump(tmp_path / 'resumed.py')
    flags = ['--work-dir', tmp_path / 'logs', '--out', tmp_path / 'x.json']
    assert explain('test', tmp_path / 'resumed.py', trained, *flags) is None
    assert 'to be resumed' not in capfd.readouterr().err
    assert Config.fromfile(tmp_path / 'logs' / 'resumed.py').resume is False


def test_what_is_read_is_not_written(trained, published, data, tmp_path, capsys):
    scores = tmp_path / 'x.npz'
    config = find_config(find_checkpoint(str(trained)))
    flags = ['--work-dir', tmp_path / 'logs', '--out', scores]
    assert explain('test', config, trained, *flags) is None
    images = shutil.copytree(data, tmp_path / 'images')
    image = next(images.rglob('*.png'))
    described = images / 'dataset.json'
    described.write_text('{"classes": ["a", "b", "c"]}')
    before = contents(tmp_path)
    for out, tool, arguments in (
        (scores, 'report', [scores]),
        (scores, 'report', [f'a={scores}', '--out', scores]),
        (published, 'report', [scores, '--decisions', published]),
        (published, 'predict', [published, images]),
        (image, 'predict', [published, images]),
        (images / 'index.csv', 'predict', [published, images, '--split', 'test']),
        (described, 'predict', [published, image, '--more-images', images]),
        (described, 'report', [scores, '--images', images]),
        (published, 'calibrate', [published, images]),
    ):
        message = explain(tool, *arguments, '--out', out)
        assert f'{out} is read, so the output cannot be written there' in message
    cfg = Config(dict(test_dataloader=dict(dataset=dict(data_root=str(images)))))
    with pytest.raises(FileExistsError, match=r'dataset\.json is read'):
        check_is_no_data(cfg, [described])
    copy = shutil.copy(published, tmp_path / 'x.pkl')
    assert explain('test', config, copy, '--out', copy) == 2
    assert f'{copy} is read' in capsys.readouterr().err
    after = contents(tmp_path)
    assert {file: after[file] for file in before} == before


@pytest.mark.parametrize(
    ('tool', 'arguments'),
    [
        ('report', ['x.npz', '--out', 'x.npz/page.html']),
        ('predict', ['x.npz', 'x.npz', '--out', 'x.npz/p.csv']),
        ('calibrate', ['x.npz', 'x.npz', '--out', 'x.npz/y.pth']),
        ('publish', ['x.npz', 'x.npz/y.pth']),
        ('methods', ['--out', 'x.npz/y.md']),
    ],
)
def test_a_file_is_no_folder_for_outputs(tool, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'x.npz').write_text('kept')
    message = explain(tool, *arguments)
    assert 'x.npz is a file, but a folder is to be created there' in message


def test_no_file_of_an_earlier_model_stays_beside_a_new_one(published, members):
    onnx = published.with_suffix('.onnx')
    onnx.write_text('of the earlier model')
    message = explain('publish', members / 'fold1', published)
    assert f'{onnx} would not fit the new x.pth' in message


@pytest.mark.parametrize('suffix', ['.py', '.md'])
def test_files_of_a_user_are_not_replaced(suffix, published, data, members, tmp_path):
    (tmp_path / f'mine{suffix}').write_text('mine')
    out = tmp_path / 'mine.pth'
    message = explain('publish', members / 'fold0', out)
    assert f'mine{suffix} would be replaced, without a mine.pth' in message
    message = explain('calibrate', published, data, '--out', out)
    assert f'mine{suffix} would ' in message
    assert [*tmp_path.glob('mine*')] == [tmp_path / f'mine{suffix}']


def test_nothing_is_published_if_onnx_is_impossible(members, tmp_path, monkeypatch):
    def no_size(_):
        raise ValueError('no size')

    monkeypatch.setattr('mmimbal.inference.image_size.size_of_images', no_size)
    flags = [tmp_path / 'x.pth', '--onnx']
    assert explain('publish', members / 'fold0', *flags) == 'publish: no size'
    assert not list(tmp_path.iterdir())


def test_a_failed_export_leaves_no_file_of_the_earlier_model(
    published, members, monkeypatch
):
    def fail(*_):
        raise ValueError('no export')

    onnx = published.with_suffix('.onnx')
    onnx.write_text('of the earlier model')
    monkeypatch.setattr('mmimbal.inference.onnx_file.write_onnx', fail)
    message = explain('publish', members / 'fold1', published, '--onnx')
    assert message == 'publish: no export' and not onnx.exists()


def test_weights_for_several_onnx_files_are_refused(members, tmp_path, monkeypatch):
    monkeypatch.setattr('mmimbal.inference.onnx_file.LARGEST', 1000)
    message = explain('publish', members / 'fold0', tmp_path / 'x.pth', '--onnx')
    assert 'one ONNX file holds at most 0.0 GB' in message
    assert not list(tmp_path.iterdir())


def test_a_published_model_is_published_again_beside_itself(published):
    """It has a config of its name, which is not confused with another."""
    again = published.with_name('y.pth')
    assert explain('publish', published, again) is None
    ours, theirs = (load_from_local(file)['state_dict'] for file in (published, again))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_checkpoint_without_a_config_of_its_name_keeps_its_config(trained):
    (trained / 'last_checkpoint').unlink()
    message = explain('publish', trained, trained / 'y.pth')
    assert 'is in the folder of the training checkpoint' in message


@pytest.mark.parametrize('content', [[1, 2], torch.zeros(2)])
def test_a_checkpoint_that_is_no_dict_is_named(content, published, data, tmp_path):
    file = tmp_path / 'odd.pth'
    torch.save(content, file)
    kind = type(content).__name__
    text = f'odd.pth holds a {kind}, but a checkpoint is a dict'
    shutil.copy(published.with_suffix('.py'), file.with_suffix('.py'))
    config = published.with_suffix('.py')
    assert text in explain('predict', file, data, '--out', tmp_path / 'p.csv')
    assert text in explain('publish', file, tmp_path / 'z' / 'x.pth')
    with pytest.raises(ValueError, match='but a checkpoint is a dict'):
        load_from_local(file)
    assert config.is_file()


def test_an_empty_meta_is_none(published, data, tmp_path):
    loaded = load_from_local(published)
    torch.save(dict(state_dict=loaded['state_dict'], meta=None), tmp_path / 'y.pth')
    shutil.copy(published.with_suffix('.py'), tmp_path / 'y.py')
    flags = [data, '--out', tmp_path / 'p.csv']
    message = explain('predict', tmp_path / 'y.pth', *flags)
    assert 'no class names (meta.dataset_meta.classes)' in message


def test_only_a_config_of_training_can_be_swept(published):
    message = explain('stage2_sweep', published, '--methods', 'crt')
    assert 'has a config without train_dataloader, as a published model' in message


def test_a_table_among_the_images_is_not_one_of_them(published, data, tmp_path, capsys):
    images = shutil.copytree(data / 'images', tmp_path / 'images')
    assert explain('predict', published, images, '--out', images / 'p.csv') is None
    assert 'left out' not in capsys.readouterr().out


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (['--interval', '3'], '--interval is for --show-dir'),
        (['--cfg-options', 'load_from=x.pth'], 'load_from: give the checkpoint'),
        (['--cfg-options', 'resume=True'], 'resume: give the checkpoint'),
        (['--out', 'x.npz', '--out-item', 'pred'], '--out-item needs --out FILE, and'),
    ],
)
def test_flags_of_a_test_without_effect_are_refused(flags, message, capsys):
    assert explain('test', 'configs/digits_lt/stage1_ce.py', 'x.pth', *flags) == 2
    assert message in capsys.readouterr().err


def test_a_test_of_a_diverged_model_is_one_sentence(trained, tmp_path):
    file = find_checkpoint(str(trained))
    config = find_config(file)
    loaded = torch.load(file, weights_only=False)
    loaded['state_dict']['head.fc.bias'].fill_(torch.nan)
    torch.save(loaded, file)
    message = explain('test', config, file, '--work-dir', tmp_path / 'logs')
    assert message.startswith('test: ') and 'diverged' in message


def test_a_config_that_is_no_python_is_named(trained, tmp_path):
    config = tmp_path / 'typo.py'
    config.write_text("_base_ = ['a.py']\nmodel = dict(\nx = 1 2\n")
    for tool, arguments in (
        ('train', [config]),
        ('test', [config, trained]),
        ('print_config', [config]),
        ('train', [config, '--profile', '64px']),
        ('stage2_sweep', [trained, '--config', config]),
        ('benchmark', [config]),
        ('cross_validate', [config]),
    ):
        message = explain(tool, *arguments)
        assert f'{config} is not in Python' in message and 'line ' in message


def test_a_base_that_is_no_python_is_named(tmp_path):
    base = tmp_path / 'base.py'
    base.write_text('a = 1\nb = = 2\n')
    (tmp_path / 'top.py').write_text("_base_ = 'base.py'\n")
    message = explain('train', tmp_path / 'top.py')
    assert f'{base} is not in Python' in message and 'line 2: b = = 2' in message
    assert 'top.py' not in message


def test_a_work_dir_is_that_of_a_training_before_its_first_checkpoint(tmp_path):
    assert not holds_training(tmp_path)
    (tmp_path / 'train.lock').touch()
    assert holds_training(tmp_path)


@pytest.mark.parametrize('meta', ['text', [1], torch.zeros(2)])
def test_a_meta_of_another_program_is_none(meta, tmp_path):
    torch.save(dict(state_dict={}, meta=meta), tmp_path / 'x.pth')
    assert 'meta' not in load_from_local(tmp_path / 'x.pth')


def test_the_config_that_is_read_is_not_written(published, trained):
    out = published.with_name('m.pth')
    config = shutil.copy(
        find_config(find_checkpoint(str(trained))), out.parent / 'm.py'
    )
    message = explain('publish', trained, out, '--config', config)
    assert 'm.py is read, so the output cannot be written there' in message
