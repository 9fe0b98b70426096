import pickle
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner, load_checkpoint
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from mmimbal.engine.newest_checkpoint import newest_loadable
from mmimbal.files.checkpoint import (
    UnsafeCheckpointError,
    load_from_local,
    safe_loading,
)
from mmimbal.files.save_checkpoint import AtomicBackend, atomic_saving
from tests.conftest import tiny_digits, train


class Attack:
    """Create a file when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


class ChainedAttack(Attack):
    """Reach for a function through getattr, which is allowed for one class only."""

    def __reduce__(self):
        return getattr, (Path, 'touch')


class HistoryAttack(Attack):
    """Reach through the one class that getattr is allowed for."""

    def __reduce__(self):
        return getattr, (HistoryBuffer, '__init__')


@pytest.fixture
def trained(tmp_path):
    return train(tiny_digits('stage1_ce', tmp_path / 'run'))


@pytest.mark.parametrize('attack', [Attack, ChainedAttack, HistoryAttack])
@pytest.mark.parametrize('legacy', [False, True])
def test_attack_is_refused_and_does_nothing(tmp_path, attack, legacy):
    trace = tmp_path / 'trace'
    checkpoint = {'state_dict': {}, 'meta': {'x': attack(trace)}}
    torch.save(
        checkpoint, tmp_path / 'bad.pth', _use_new_zipfile_serialization=not legacy
    )
    with pytest.raises(UnsafeCheckpointError, match='no code in it was run'):
        load_from_local(tmp_path / 'bad.pth')
    with safe_loading(), pytest.raises(UnsafeCheckpointError):
        load_checkpoint(nn.Linear(1, 1), str(tmp_path / 'bad.pth'))
    assert not trace.exists()


def test_message_names_what_was_found(tmp_path):
    torch.save({'x': ChainedAttack('')}, tmp_path / 'bad.pth')
    with pytest.raises(UnsafeCheckpointError, match=r'bad\.pth.*pathlib'):
        load_from_local(tmp_path / 'bad.pth')


def test_plain_pickle_is_refused(tmp_path):
    trace = tmp_path / 'trace'
    (tmp_path / 'bad.pth').write_bytes(pickle.dumps(Attack(trace)))
    with pytest.raises(UnsafeCheckpointError):
        load_from_local(tmp_path / 'bad.pth')
    assert not trace.exists()


def test_environment_cannot_switch_it_off(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    trace = tmp_path / 'trace'
    torch.save({'x': Attack(trace)}, tmp_path / 'bad.pth')
    with pytest.raises(UnsafeCheckpointError):
        load_from_local(tmp_path / 'bad.pth')
    assert not trace.exists()


def test_config_in_a_checkpoint_is_not_executed_on_resume(tmp_path, trained):
    trace = tmp_path / 'trace'
    path = Path(trained.work_dir, 'epoch_1.pth')
    checkpoint = load_from_local(path)
    checkpoint['meta']['config'] = f'open({str(trace)!r}, "w")'
    torch.save(checkpoint, path)
    train(tiny_digits('stage1_ce', tmp_path / 'run', resume=True, load_from=str(path)))
    assert not trace.exists()


def test_attack_through_every_door_of_the_runner(tmp_path):
    trace = tmp_path / 'trace'
    bad = tmp_path / 'bad.pth'
    torch.save({'state_dict': {}, 'meta': {'x': Attack(trace)}}, bad)
    for resume in (True, False):
        cfg = tiny_digits(
            'stage1_ce', tmp_path / 'run', load_from=str(bad), resume=resume
        )
        with pytest.raises(UnsafeCheckpointError):
            Runner.from_cfg(cfg).train()
    cfg = tiny_digits('stage1_ce', tmp_path / 'run', load_from=str(bad))
    with pytest.raises(UnsafeCheckpointError):
        Runner.from_cfg(cfg).test()
    cfg = tiny_digits('stage2_crt', tmp_path / 'run2')
    cfg.default_hooks.two_stage.stage1 = str(bad)
    with pytest.raises(UnsafeCheckpointError):
        Runner.from_cfg(cfg).train()
    assert not trace.exists()


def test_history_and_numpy_survive(tmp_path):
    history = HistoryBuffer([1.0, 3.0], [1, 1])
    state = dict(
        history=history,
        scalars=[np.float64(1.5), np.float32(2), np.int64(3), np.bool_(True)],
        arrays=[np.arange(3), np.ones((2, 2), np.float32)],
    )
    torch.save(state, tmp_path / 'good.pth')
    loaded = load_from_local(tmp_path / 'good.pth')
    assert loaded['history'].statistics('mean') == 2
    assert loaded['scalars'] == state['scalars']
    for array, expected in zip(loaded['arrays'], state['arrays'], strict=True):
        assert np.array_equal(array, expected)


def test_resume_load_from_and_test_work(tmp_path, trained):
    last = Path(trained.work_dir, 'epoch_2.pth')
    resumed = train(
        tiny_digits('stage1_ce', tmp_path / 'run', resume=True, train_cfg__max_epochs=3)
    )
    assert resumed.epoch == 3
    cfg = tiny_digits('stage1_ce', tmp_path / 'other', load_from=str(last))
    assert Runner.from_cfg(cfg).test()['balanced_accuracy'] >= 0
    assert train(cfg).epoch == 2


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no checkpoint at .*nothing'):
        load_from_local(tmp_path / 'nothing.pth')


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve the folder ``www`` on this machine; return its URL."""
    (tmp_path / 'www').mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path / 'www')
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as http:
        thread = Thread(target=http.serve_forever)
        thread.start()
        monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'hub'))
        yield f'http://127.0.0.1:{http.server_port}'
        http.shutdown()
        thread.join()


def test_downloads_are_as_safe_as_files(tmp_path, server):
    source, target = nn.Linear(2, 2), nn.Linear(2, 2)
    torch.save({'state_dict': source.state_dict()}, tmp_path / 'www' / 'good.pth')
    with safe_loading():
        load_checkpoint(target, f'{server}/good.pth')
    assert target.weight.equal(source.weight)
    trace = tmp_path / 'trace'
    torch.save({'state_dict': {}, 'x': Attack(trace)}, tmp_path / 'www' / 'bad.pth')
    with safe_loading(), pytest.raises(UnsafeCheckpointError, match='not loaded'):
        load_checkpoint(target, f'{server}/bad.pth')
    assert not trace.exists()


@pytest.mark.parametrize('url', ['{server}/none.pth', 'http://127.0.0.1:1/none.pth'])
def test_a_failed_download_is_named(server, url):
    url = url.format(server=server)
    with safe_loading(), pytest.raises(ConnectionError) as failure:
        load_checkpoint(nn.Linear(2, 2), url)
    assert str(failure.value).startswith(f'cannot download {url}: ')
    assert 'init_cfg.checkpoint=FILE' in str(failure.value)


@pytest.mark.parametrize('scheme', ['torchvision', 'modelzoo', 'mmcls', 'open-mmlab'])
def test_model_zoos_are_as_safe(tmp_path, server, monkeypatch, scheme):
    trace = tmp_path / 'trace'
    torch.save({'state_dict': {}, 'x': Attack(trace)}, tmp_path / 'www' / 'net.pth')
    for name in ('torchvision_models', 'mmcls_models', 'external_models'):
        monkeypatch.setattr(
            mmengine_checkpoint, f'get_{name}', lambda: {'net': f'{server}/net.pth'}
        )
    monkeypatch.setattr(mmengine_checkpoint, 'get_deprecated_model_names', dict)
    with safe_loading(), pytest.raises(UnsafeCheckpointError):
        load_checkpoint(nn.Linear(2, 2), f'{scheme}://net')
    assert not trace.exists()


@pytest.mark.parametrize('path', ['s3://a/b.pth', 'x:petrel://b', 'pavi://model'])
def test_stores_that_would_be_unpickled_are_refused(path):
    with safe_loading(), pytest.raises(UnsafeCheckpointError, match='from disk'):
        load_checkpoint(nn.Linear(2, 2), path)


def test_truncated_and_empty_files_are_named(tmp_path):
    path = tmp_path / 'cut.pth'
    torch.save({'state_dict': nn.Linear(100, 100).state_dict()}, path)
    for content in (path.read_bytes()[:5000], b''):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r'cut\.pth is damaged'):
            load_from_local(path)
    with pytest.raises(FileNotFoundError):
        load_from_local(tmp_path)


@pytest.mark.parametrize('legacy', [False, True])
def test_files_cut_anywhere_are_named(tmp_path, legacy):
    path = tmp_path / 'cut.pth'
    state = {'state_dict': nn.Linear(9, 9).state_dict()}
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    for size in range(0, len(whole), 17):
        path.write_bytes(whole[:size])
        with pytest.raises((ValueError, UnsafeCheckpointError), match=r'cut\.pth'):
            load_from_local(path)


@pytest.mark.parametrize('error', [OSError, MemoryError, torch.OutOfMemoryError])
def test_a_whole_file_that_cannot_be_read_now_is_not_passed_over(
    tmp_path, monkeypatch, error
):
    """Or a run would go on from an earlier epoch."""
    torch.save({'state_dict': {}}, tmp_path / 'epoch_2.pth')

    def fail(*args, **kwargs):
        raise error('for now')

    monkeypatch.setattr(torch, 'load', fail)
    with pytest.raises(error, match='for now'):
        newest_loadable(tmp_path, logger=None)


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    torch.save({'a': 1}, tmp_path / 'x.pth')
    assert load_from_local('~/x.pth') == {'a': 1}


def host_getattr(owner, name):
    """Stand for what a host allows itself."""
    return getattr(owner, name)


@pytest.fixture
def host():
    """Let a host list the names that ours has too."""
    before = torch.serialization.get_safe_globals()
    listed = [(host_getattr, 'builtins.getattr'), HistoryBuffer, Path]
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(listed)
    yield listed
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)


@pytest.mark.parametrize('attack', [Attack, ChainedAttack, HistoryAttack])
def test_what_a_host_allows_is_put_aside_and_put_back(tmp_path, host, attack):
    torch.save({'x': attack(tmp_path / 'trace')}, tmp_path / 'bad.pth')
    with pytest.raises(UnsafeCheckpointError):
        load_from_local(tmp_path / 'bad.pth')
    assert not (tmp_path / 'trace').exists()
    torch.save({'x': HistoryBuffer([1.0], [1])}, tmp_path / 'good.pth')
    assert load_from_local(tmp_path / 'good.pth')['x'].current() == 1
    assert sorted(torch.serialization.get_safe_globals(), key=str) == sorted(
        host, key=str
    )


def test_mmengine_is_as_before_after_an_error():
    def loader(filename, map_location):
        return {}

    before = dict(CheckpointLoader._schemes)
    functions = vars(mmengine_checkpoint).copy()
    CheckpointLoader.register_scheme('s3://', loader, force=True)
    try:
        with pytest.raises(KeyError), safe_loading():
            assert CheckpointLoader._schemes['s3://'] is loader  # a host's own
            assert CheckpointLoader._schemes[''] is load_from_local
            raise KeyError
        assert CheckpointLoader._schemes == before | {'s3://': loader}
    finally:
        CheckpointLoader._schemes = before
    assert vars(mmengine_checkpoint) == functions


def test_files_of_mmengine_are_whole_in_a_block_alone(tmp_path):
    def backend():
        return type(get_file_backend(tmp_path))

    with pytest.raises(KeyError), atomic_saving():
        assert backend() is AtomicBackend
        raise KeyError
    assert backend() is LocalBackend


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (b"model = dict(type='ImageClassifier')", 'no file that torch.save writes'),
        (Attack, 'it refers to '),
        (HistoryAttack, 'is not allowed'),
    ],
)
@pytest.mark.parametrize('legacy', [False, True])
def test_what_was_found_is_said_without_the_unsafe_way(
    tmp_path, content, reason, legacy
):
    """Torch would advise to load it without weights_only."""
    path = tmp_path / 'model.pth'
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(
            {'x': content(tmp_path / 'trace')},
            path,
            _use_new_zipfile_serialization=not legacy,
        )
    with pytest.raises(UnsafeCheckpointError, match='no code in it was run') as error:
        load_from_local(path)
    assert reason in str(error.value) and 'weights_only' not in str(error.value)
