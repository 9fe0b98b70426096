"""Options of CheckpointHook are checked before the first epoch, not after it."""

from pathlib import Path

import pytest
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from tests.conftest import tiny_digits, train


def test_an_option_that_nothing_takes_is_named(tmp_path):
    cfg = tiny_digits('stage1_ce', tmp_path)
    cfg.default_hooks.checkpoint.intervall = 8
    with pytest.raises(ValueError, match=r'no option intervall\. It has .*interval, '):
        train(cfg)
    assert not list(tmp_path.glob('*.pth'))


@RUNNERS.register_module()
class TakesNotes(Runner):
    """A Runner of somebody's own, which takes one more option."""

    def save_checkpoint(self, *args, note='', **kwargs):
        """Write a note, too."""
        if note:  # without it, the best checkpoint is written
            Path(self.work_dir, 'note').write_text(note)
        super().save_checkpoint(*args, **kwargs)


@RUNNERS.register_module()
class TakesAll(TakesNotes):
    """The same, without its name."""

    def save_checkpoint(self, *args, **kwargs):
        """Write a note, too."""
        super().save_checkpoint(*args, **kwargs)


@pytest.mark.parametrize('kind', [TakesNotes, TakesAll])
def test_options_of_another_runner_pass(tmp_path, kind):
    cfg = tiny_digits('stage1_ce', tmp_path)
    cfg.default_hooks.checkpoint.note = 'mine'
    kind.from_cfg(cfg).train()
    assert Path(tmp_path, 'note').read_text() == 'mine'
