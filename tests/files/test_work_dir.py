"""Which checkpoint and which config of a work dir are used."""

import os

import pytest

from mmimbal.files.work_dir import find_checkpoint, find_config


def test_the_best_checkpoint_or_else_the_last(tmp_path):
    file = tmp_path / 'some.pth'
    file.touch()
    assert find_checkpoint(str(file)) == file
    with pytest.raises(FileNotFoundError, match=r'has neither best_\*\.pth nor'):
        find_checkpoint(str(tmp_path))
    (tmp_path / 'last_checkpoint').write_text('/before/it/moved/epoch_9.pth')
    with pytest.raises(FileNotFoundError, match=r'9\.pth, the last one, is missing'):
        find_checkpoint(str(tmp_path))
    last = tmp_path / 'epoch_9.pth'
    last.touch()
    assert find_checkpoint(str(tmp_path)) == last
    for epoch, time in ((9, 100), (30, 50)):  # 30 is left from an earlier run
        best = tmp_path / f'best_balanced_accuracy_epoch_{epoch}.pth'
        best.touch()
        os.utime(best, (time, time))
    assert find_checkpoint(str(tmp_path)).name == 'best_balanced_accuracy_epoch_9.pth'
    (tmp_path / 'best_macro_f1_epoch_3.pth').touch()
    with pytest.raises(ValueError, match=r'several metrics: .*macro_f1_epoch_3'):
        find_checkpoint(str(tmp_path))


def test_the_last_checkpoint_may_be_in_another_folder(tmp_path):
    """With out_dir of CheckpointHook; but not in a work dir that was copied."""
    work_dir, other = tmp_path / 'run', tmp_path / 'out'
    work_dir.mkdir()
    other.mkdir()
    file = other / 'epoch_9.pth'
    file.touch()
    (work_dir / 'last_checkpoint').write_text(str(file))
    assert find_checkpoint(str(work_dir)) == file
    (other / 'last_checkpoint').write_text(str(file))
    with pytest.raises(FileNotFoundError, match='the last one, is missing'):
        find_checkpoint(str(work_dir))


def test_the_config_beside_a_checkpoint(tmp_path):
    checkpoint = tmp_path / 'best.pth'
    with pytest.raises(
        FileNotFoundError,
        match=r'found none. Put the config of the checkpoint there as best.py',
    ):
        find_config(checkpoint)
    (tmp_path / 'leaf.py').touch()
    assert find_config(checkpoint) == tmp_path / 'leaf.py'
    (tmp_path / 'other.py').touch()
    with pytest.raises(FileNotFoundError, match=r'found leaf.py, other.py'):
        find_config(checkpoint)
    (tmp_path / 'best.py').touch()
    assert find_config(checkpoint) == tmp_path / 'best.py'
