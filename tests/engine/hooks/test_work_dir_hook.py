import re

import pytest
import torch

from mmimbal.engine.hooks.work_dir_hook import check_work_dir, differing_lines
from tests.conftest import tiny_digits, train


def test_another_config_in_a_finished_work_dir_is_refused(tmp_path):
    train(tiny_digits('stage1_ce', tmp_path))
    with pytest.raises(FileExistsError, match='contains a run with') as error:
        train(tiny_digits('stage1_ce', tmp_path, train_cfg__max_epochs=7))
    assert re.search(r'\n\+.*max_epochs=7', str(error.value))


def test_a_work_dir_that_has_moved_is_protected_too(tmp_path):
    train(tiny_digits('stage1_ce', tmp_path / 'before'))
    (tmp_path / 'before').rename(tmp_path / 'after')
    with pytest.raises(FileExistsError, match='contains a run with'):
        train(tiny_digits('stage1_ce', tmp_path / 'after', train_cfg__max_epochs=7))


def test_the_same_config_may_run_again_and_resume_may_change(tmp_path):
    train(tiny_digits('stage1_ce', tmp_path))
    train(tiny_digits('stage1_ce', tmp_path))
    cfg = tiny_digits('stage1_ce', tmp_path, train_cfg__max_epochs=3, resume=True)
    assert train(cfg).epoch == 3


@pytest.mark.parametrize('pointer', [None, ''])
def test_a_run_that_was_killed_early_is_protected_too(tmp_path, pointer):
    train(tiny_digits('stage1_ce', tmp_path, train_cfg__max_epochs=1))
    (tmp_path / 'last_checkpoint').unlink()
    if pointer is not None:  # on a full disk
        (tmp_path / 'last_checkpoint').write_text(pointer)
    with pytest.raises(FileExistsError, match='contains a run with another config'):
        train(tiny_digits('stage1_triplet', tmp_path))


def test_another_spelling_of_the_work_dir_is_the_same(tmp_path):
    train(tiny_digits('stage1_ce', tmp_path))
    train(tiny_digits('stage1_ce', f'{tmp_path}/'))


def test_differing_lines():
    assert differing_lines('a = 1\nresume = False\n', 'a = 1\nresume = True\n') == []
    assert differing_lines('a = 1\nb = 2', 'a = 3\nb = 2') == ['-a = 1', '+a = 3']
    wrapped = (
        'a = 1\nmodel_wrapper_cfg = dict(\n    x=1,\n    type=2)\nb = dict(\n    x=2)'
    )
    assert differing_lines('a = 1\nb = dict(\n    x=2)', wrapped) == []


def test_weights_of_others_are_no_run(tmp_path):
    cfg = tiny_digits('stage1_ce', tmp_path, train_cfg__max_epochs=1)
    torch.save(dict(state_dict={}, meta=dict(cfg='a = 1')), tmp_path / 'pretrained.pth')
    cut = (tmp_path / 'pretrained.pth').read_bytes()[:100]
    (tmp_path / 'epoch_9.pth').write_bytes(cut)
    check_work_dir(tmp_path, cfg)
    torch.save(dict(state_dict={}, meta=dict(cfg={})), tmp_path / 'epoch_9.pth')
    check_work_dir(tmp_path, cfg)
    torch.save(dict(state_dict={}, meta=dict(cfg='a = 1')), tmp_path / 'epoch_9.pth')
    with pytest.raises(FileExistsError, match='contains a run with another config'):
        check_work_dir(tmp_path, cfg)
