import os

import pytest

from mmimbal.command_line.failures import ToolFailedError
from mmimbal.experiments import sweep_runner
from mmimbal.experiments.sweep_runner import search_and_train, train_heads
from mmimbal.stage2.sweep import Sweep
from tests.stage2.test_sweep import run, sweep  # noqa: F401 - a fixture


def test_heads_are_trained_once(sweep):  # noqa: F811
    runs = run().seeds(3)
    train_heads(sweep, runs, processes=2)
    files = [sweep.file(each) for each in runs]
    assert len(set(files)) == 3
    for file in files:
        os.utime(file, (1, 1))  # clocks of file systems are coarse
    train_heads(sweep, runs, processes=2)
    assert [file.stat().st_mtime for file in files] == [1, 1, 1]
    files[1].unlink()  # what a stopped sweep has not done
    train_heads(sweep, runs, processes=2)
    assert [file.stat().st_mtime == 1 for file in files] == [True, False, True]


def test_processes_train_what_one_would(sweep):  # noqa: F811
    runs = run().seeds(2)
    train_heads(sweep, runs, processes=2)
    for each in runs:
        head, kept = sweep.head(each), sweep.read(each)
        assert kept['val'] == sweep.score(head, 'val')
        for key, value in head.state_dict().items():
            assert value.equal(kept['state_dict'][key])


def test_a_process_that_fails_stops_the_sweep(sweep, monkeypatch):  # noqa: F811
    """The others end, and what they have trained is kept."""
    train_one = Sweep.train_one

    def fail_at_two(self, each):
        if each.seed == 2:
            raise OSError('broken disk')
        train_one(self, each)

    monkeypatch.setattr(Sweep, 'train_one', fail_at_two)
    runs = run().seeds(4)
    with pytest.raises(ToolFailedError, match=r'OSError: broken disk \(see .*log\)'):
        train_heads(sweep, runs, processes=2)
    assert [sweep.is_trained(each) for each in runs] == [True, True, False, True]


def test_the_bar_counts_heads(sweep, monkeypatch):  # noqa: F811
    seen = {}

    def look(jobs, executor, description):
        seen.update(total=sum(job.size for job in jobs), workers=len(executor.free))
        for each in runs[:1]:
            sweep.train_one(each)
        seen.update(share=[job.share_done() for job in jobs])
        return {}

    monkeypatch.setattr(sweep_runner, 'run_jobs', look)
    runs = run().seeds(3)
    train_heads(sweep, runs, processes=2)
    assert seen == dict(total=3, workers=2, share=[0.5, 0.0])


def test_validation_chooses_and_what_cannot_be_trained_says_why(sweep):  # noqa: F811
    wrong = run('lws')
    wrong.cfg.model.head.in_channels = 8
    lr = 'optim_wrapper.optimizer.lr'
    chosen, failed = search_and_train(
        sweep,
        dict(crt=run(), lws=wrong),
        dict(crt={lr: [0.1, 1e-9]}, lws={}),
        seeds=2,
        metric='balanced_accuracy',
        processes=2,
    )
    assert [(each.params[lr], each.seed) for each in chosen['crt']] == [
        (0.1, 0),
        (0.1, 1),
    ]
    assert all(map(sweep.is_trained, chosen['crt']))
    assert failed.keys() == {'lws'} and 'in_channels=8' in failed['lws']
    with pytest.raises(ValueError, match='in_channels=8'):
        search_and_train(sweep, dict(lws=wrong), dict(lws={}), 1, 'macro_f1', 1)
