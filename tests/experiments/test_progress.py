from types import SimpleNamespace

import pytest

from mmimbal.command_line.compose import compose
from mmimbal.command_line.experiment import parse_experiment
from mmimbal.experiments import jobs
from mmimbal.experiments.progress import share_of_training
from tests.experiments.example_jobs import CommandJob


def test_the_share_is_of_the_epochs_of_the_training_itself(tmp_path):
    """The config names the epochs of a stage 2 too."""
    assert share_of_training(tmp_path / 'none') == 0
    cfg = compose(parse_experiment('isic2018/64px/none/balanced_softmax'))
    assert cfg.stage2_train_cfg.max_epochs < cfg.train_cfg.max_epochs == 40
    cfg.dump(tmp_path / 'config.py')
    assert share_of_training(tmp_path) == 0
    (tmp_path / 'last_checkpoint').write_text('work/epoch_30.pth')
    assert share_of_training(tmp_path) == 30 / 40
    (tmp_path / 'last_checkpoint').write_text('work/iter_30.pth')
    assert share_of_training(tmp_path) == 0


class HourExecutor:
    """Ends its job after an hour of a clock that only sleeping moves."""

    def __init__(self, monkeypatch):
        self.seconds, self.job = 0.0, None
        clock = SimpleNamespace(monotonic=lambda: self.seconds, sleep=self.sleep)
        monkeypatch.setattr(jobs, 'time', clock)

    def sleep(self, seconds):
        self.seconds += seconds

    def has_room(self):
        return self.job is None

    def start(self, job):
        self.job = job

    def poll(self):
        return [(self.job, '')] if self.seconds > 3600 else []

    def stop(self):
        pass


@pytest.mark.parametrize(('terminal', 'least'), [(True, 1700), (False, 59)])
def test_a_log_file_gets_a_line_a_minute(
    terminal, least, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(jobs.sys.stderr, 'isatty', lambda: terminal, raising=False)
    job = CommandJob('a', tmp_path, [])
    jobs.run_jobs([job], HourExecutor(monkeypatch), 'Jobs')
    written = capsys.readouterr().err.count('Jobs:')
    assert least <= written <= 1.1 * least + 3
