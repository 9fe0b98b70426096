import os
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn

from mmimbal.engine import ddp
from mmimbal.engine.hooks import resume_hook
from mmimbal.engine.hooks.resume_hook import ResumeHook, seed_all
from mmimbal.engine.newest_checkpoint import newest_loadable
from mmimbal.engine.resumed_numbers import check_seed
from mmimbal.files.checkpoint import UnsafeCheckpointError, load_from_local
from tests.conftest import log_of, tiny_digits, train


class KeepImages(Hook):
    """Keep the first batch of every epoch."""

    def __init__(self):
        self.images = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if batch_idx == 0:
            self.images.append(torch.stack(data_batch['inputs']))


def images_of(work_dir, workers, seed=0, **options):
    """Return the first batch of three epochs, of the same images."""
    cfg = tiny_digits(
        'stage1_ce',
        work_dir,
        train_cfg__max_epochs=3,
        train_dataloader__num_workers=workers,
        train_dataloader__sampler__shuffle=False,
        randomness=dict(seed=seed),
        **options,
    )
    keep = KeepImages()
    runner = Runner.from_cfg(cfg)
    runner.register_hook(keep)
    runner.train()
    return keep.images


@pytest.mark.parametrize('workers', [0, 2])
def test_augmentations_are_a_function_of_seed_and_epoch(workers, tmp_path):
    first = images_of(tmp_path / 'a', workers)
    again = images_of(tmp_path / 'b', workers)
    other = images_of(tmp_path / 'c', workers, seed=1)
    assert all(one.equal(two) for one, two in zip(first, again, strict=True))
    assert not any(one.equal(two) for one, two in zip(first, other, strict=True))
    for epoch in (1, 2):
        assert not first[epoch].equal(first[epoch - 1])


def test_persistent_workers_are_warned_of(tmp_path):
    cfg = tiny_digits(
        'stage1_ce',
        tmp_path,
        train_cfg__max_epochs=1,
        train_dataloader__num_workers=1,
        train_dataloader__persistent_workers=True,
    )
    assert 'train_dataloader.persistent_workers=False' in log_of(train(cfg))


def test_the_newest_loadable_checkpoint(tmp_path):
    said = []

    class Log:
        def warning(self, text):
            said.append(text)

    assert newest_loadable(tmp_path, Log()) is None
    for epoch in (2, 9, 10, 11):
        torch.save(dict(epoch=epoch), tmp_path / f'epoch_{epoch}.pth')
    (tmp_path / 'epoch_11.pth').write_bytes(b'')
    cut = (tmp_path / 'epoch_10.pth').read_bytes()[:100]
    (tmp_path / 'epoch_10.pth').write_bytes(cut)
    assert newest_loadable(tmp_path, Log()).name == 'epoch_9.pth'
    assert 'epoch_11.pth' in said[0] and 'epoch_10.pth' in said[1]


def test_checkpoints_of_an_earlier_run_are_not_resumed(tmp_path):
    for epoch, written in ((2, 5), (3, 6), (1, 10)):
        file = tmp_path / f'epoch_{epoch}.pth'
        torch.save(dict(epoch=epoch), file)
        os.utime(file, (written, written))
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_1.pth'))
    assert newest_loadable(tmp_path, None).name == 'epoch_1.pth'
    os.utime(tmp_path / 'epoch_2.pth', (11, 11))  # killed before it wrote the pointer
    assert newest_loadable(tmp_path, None).name == 'epoch_2.pth'
    pointer = tmp_path / 'last_checkpoint'
    pointer.write_text(str(tmp_path / 'epoch_2.pth'))
    (tmp_path / 'epoch_2.pth').unlink()  # mmengine has deleted it before the next one
    os.utime(pointer, (12, 12))
    assert newest_loadable(tmp_path, None).name == 'epoch_1.pth'
    pointer.write_text('')
    assert newest_loadable(tmp_path, None).name == 'epoch_3.pth'


def test_scores_by_another_metric_are_not_compared(tmp_path):
    cfg = tiny_digits('stage1_ce', tmp_path, train_cfg__max_epochs=1)
    cfg.default_hooks.checkpoint.save_best = 'specificity'
    train(cfg)
    cfg.default_hooks.checkpoint.save_best = 'macro_f1'
    cfg.experiment_name = 'next'  # runs of one second and name share what they know
    cfg.merge_from_dict({'resume': True, 'train_cfg.max_epochs': 2})
    cfg.log_level = 'INFO'
    log = log_of(train(cfg))
    assert 'Resumed with another save_best: specificity -> macro_f1. The' in log
    assert "+        save_best='macro_f1'" in log  # as all lines that have changed
    assert [file.name for file in tmp_path.glob('best*')] == [
        'best_macro_f1_epoch_2.pth'
    ]


def test_a_dangerous_checkpoint_is_not_passed_over(tmp_path):
    torch.save(dict(code=print), tmp_path / 'epoch_1.pth')
    with pytest.raises(UnsafeCheckpointError, match=r'epoch_1\.pth'):
        newest_loadable(tmp_path, None)


def test_seeds_differ_by_every_part():
    drawn = set()
    for parts in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)):
        seed_all(*parts)
        drawn.add(torch.rand(1).item())
    assert len(drawn) == 4


def test_other_files_of_a_work_dir_are_no_checkpoints(tmp_path):
    torch.save(dict(state_dict={}), tmp_path / 'epoch_2.pth')
    torch.save(dict(state_dict={}), tmp_path / 'epoch_final.pth')
    assert newest_loadable(tmp_path, None) == tmp_path / 'epoch_2.pth'


def test_what_cannot_be_resumed_is_warned_of(tmp_path):
    cfg = tiny_digits('stage1_ce', tmp_path, log_level='INFO')
    cfg.optim_wrapper.accumulative_counts = 3
    cfg.custom_hooks = [dict(type='EarlyStoppingHook', monitor='balanced_accuracy')]
    log = log_of(train(cfg))
    assert 'accumulative_counts=3 does not divide the 5 iterations' in log
    assert 'EarlyStoppingHook counts from 0 again' in log


@pytest.mark.parametrize(
    ('lengths', 'counts', 'line'),
    [
        ((4, 5), 2, 'epoch 2 has ended after 9 iterations'),  # stage 2 alone is odd
        ((5, 4), 2, 'does not divide the 5 iterations of an epoch'),
        ((4, 6), 2, None),
        ((4, 5), 2, None),  # with the last iteration, the rest is an update
        ((4, 5, 9), 9, 'does not divide the 4 iterations'),
    ],
)
def test_each_stage_with_gradients_at_the_end_of_an_epoch_is_warned_of(
    lengths, counts, line
):
    """Of each run, one line; the loader of stage 2 has another length."""
    said = []
    loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)

    class Loader(SimpleNamespace):
        def __len__(self):
            return lengths[0]

    runner = SimpleNamespace(
        train_loop=loop,
        train_dataloader=Loader(num_workers=0),
        optim_wrapper=SimpleNamespace(_accumulative_counts=counts),
        model=nn.Linear(1, 1),
        hooks=[],
        logger=SimpleNamespace(warning=said.append),
        epoch=0,
        iter=0,
        max_iters=sum(lengths) + (line is not None),
    )

    hook = ResumeHook()
    hook.before_train(runner)
    for epoch, length in enumerate(lengths):
        runner.epoch = epoch
        runner.iter += length
        hook.after_train_epoch(runner)
    assert len(said) == (line is not None)
    assert line is None or line in said[0]


def test_nothing_to_resume_is_warned_of(tmp_path):
    cfg = tiny_digits('stage1_ce', tmp_path, resume=True, train_cfg__max_epochs=1)
    cfg.log_level = 'INFO'
    log = log_of(train(cfg))
    assert 'nothing to resume, training starts at the beginning' in log
    assert 'Epoch(val) [1]' in log and 'validated' not in log  # it is no metric


def test_checkpoints_are_those_of_what_the_loop_counts(tmp_path):
    """In a loop of epochs, iter_9.pth was written inside an epoch."""
    for name in ('epoch_1', 'epoch_2', 'iter_9'):
        torch.save(dict(name=name), tmp_path / f'{name}.pth')
    assert newest_loadable(tmp_path, None).name == 'epoch_2.pth'
    assert newest_loadable(tmp_path, None, 'iter').name == 'iter_9.pth'


@pytest.mark.parametrize('leaf', ['stage1_ce', 'two_stage_triplet_crt'])
def test_a_checkpoint_inside_an_epoch_is_refused(leaf, tmp_path):
    hook = dict(by_epoch=False, interval=1, max_keep_ckpts=-1, save_best=None)
    cfg = tiny_digits(leaf, tmp_path, default_hooks__checkpoint=hook)
    if leaf != 'stage1_ce':
        cfg.default_hooks.two_stage.epoch = 1
    cfg.train_cfg.max_epochs = 2
    ends = []

    class NoteEnds(Hook):
        def after_train_epoch(self, runner):
            ends.append(runner.iter)

    train(cfg, NoteEnds())
    assert len(ends) == 2 and ends[0] > 2 and ends[1] > ends[0] + 2
    inside = [iterations for end in ends for iterations in (end - 1, end)]
    last = tmp_path / f'iter_{ends[1]}.pth'
    files = [*(tmp_path / f'iter_{number}.pth' for number in inside), None]
    assert (tmp_path / 'last_checkpoint').read_text() == str(last)
    for file in files:  # without a file it is that of last_checkpoint
        cfg.resume, cfg.load_from = True, str(file) if file else None
        with pytest.raises(ValueError, match='it is inside an epoch'):
            train(cfg)


def test_a_run_is_not_resumed_with_another_seed(tmp_path):
    """Its loader, which draws the batches, is built before the checkpoint is read."""
    cfg = tiny_digits('stage1_ce', tmp_path, train_cfg__max_epochs=1)
    cfg.randomness = dict(seed=None)
    seed = train(cfg).seed
    cfg.merge_from_dict({'resume': True, 'train_cfg.max_epochs': 2})
    message = f'the run had the seed {seed}, .* Set randomness.seed={seed}'
    with pytest.raises(ValueError, match=message):
        train(cfg)
    cfg.randomness.seed = seed
    train(cfg)


def test_ranks_may_have_seeds_of_their_own():
    """With diff_rank_seed, a rank has the seed of the checkpoint, plus its number."""
    meta = dict(seed=5)
    for rank, differ, fits in ((1, True, True), (1, False, False), (0, True, True)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ddp, 'get_rank', lambda rank=rank: rank)
            cfg = Config(dict(randomness=dict(seed=5, diff_rank_seed=differ)))
            runner = SimpleNamespace(cfg=cfg, seed=5 + rank)
            seed = ddp.seed_of_first_rank(runner)
            if fits:
                check_seed(meta['seed'], seed)
            else:
                with pytest.raises(ValueError, match='cannot resume with the seed 6'):
                    check_seed(meta['seed'], seed)


def test_a_checkpoint_of_another_name_is_resumed(tmp_path):
    cfg = tiny_digits(
        'stage1_ce', tmp_path, default_hooks__checkpoint__filename_tmpl='ck{}.pth'
    )
    assert train(cfg).epoch == 2
    cfg.merge_from_dict(
        {'resume': True, 'log_level': 'INFO', 'train_cfg.max_epochs': 3}
    )
    log = log_of(train(cfg, keep := KeepImages()))
    assert len(keep.images) == 1  # the third epoch
    assert 'nothing to resume' not in log


def test_nothing_to_resume(tmp_path):
    cfg = tiny_digits('stage1_ce', tmp_path, resume=True, log_level='INFO')
    runner = train(cfg, keep := KeepImages())
    assert len(keep.images) == 2
    assert 'nothing to resume, training starts at the beginning' in log_of(runner)


def test_a_run_on_other_classes_is_not_resumed(tmp_path):
    train(tiny_digits('stage1_ce', tmp_path, train_cfg__max_epochs=1))
    file = tmp_path / 'epoch_1.pth'
    checkpoint = load_from_local(file)
    names = checkpoint['meta']['dataset_meta']['classes']
    checkpoint['meta']['dataset_meta']['classes'] = names[::-1]
    torch.save(checkpoint, file)
    with pytest.raises(ValueError, match='the checkpoint to resume was trained on the'):
        train(tiny_digits('stage1_ce', tmp_path, resume=True))


def test_averaged_weights_are_not_resumed_without_their_hook(tmp_path):
    """The optimizer's state would be that of other weights."""
    cfg = tiny_digits('stage1_ce', tmp_path, train_cfg__max_epochs=1)
    cfg.custom_hooks = [dict(type='EMAHook')]
    train(cfg)
    cfg.merge_from_dict({'resume': True, 'train_cfg.max_epochs': 2})
    cfg.custom_hooks = []
    with pytest.raises(ValueError, match=r'cannot resume: .* with EMAHook'):
        train(cfg)
    cfg.custom_hooks = [dict(type='EMAHook')]
    assert train(cfg).epoch == 2


@pytest.mark.parametrize(
    ('epoch', 'begin', 'runs'), [(5, 1, 1), (3, 1, 0), (4, 1, 1), (4, 5, 0)]
)
def test_a_validation_that_is_missing_and_due_is_made_up_for(epoch, begin, runs):
    """Every second epoch, and after the last; none before ``val_begin``."""
    loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
    loop._epoch, loop._max_epochs, loop.val_interval, loop.val_begin = (
        epoch,
        5,
        2,
        begin,
    )
    loop.dynamic_milestones, loop.dynamic_intervals = [0], [2]
    hook, ran = resume_hook.ResumeHook(), []
    hook.pending = True
    runner = SimpleNamespace(
        train_loop=loop,
        logger=SimpleNamespace(info=print),
        val_loop=SimpleNamespace(run=lambda: ran.append(1)),
    )
    hook._validate(runner)
    assert len(ran) == runs
