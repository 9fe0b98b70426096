"""A run killed at any moment and resumed is one that never was, to the bit."""

import multiprocessing
import os
import random
import resource
import signal
from pathlib import Path

import pytest
from mmengine.hooks import Hook
from mmengine.runner import Runner

import tests.imported  # noqa: F401
from mmimbal.files import atomic, checkpoint, save_checkpoint
from mmimbal.stage2 import feature_cache
from tests.conftest import log_of, tiny_digits, train

EPOCHS = 4
FLIP = dict(type='RandomFlip', prob=0.5, direction='horizontal')
CROP = dict(type='RandomCrop', crop_size=8, padding=1)
VIEWS = [FLIP, CROP, dict(type='PackInputs')]


def stage1(work_dir, **options):
    """Return a run with random augmentation and all that keeps state."""
    cfg = tiny_digits(
        'stage1_triplet', work_dir, train_cfg__max_epochs=EPOCHS, **options
    )
    cfg.model.head.metric_loss = dict(
        type='mmimbal.ClassBalancedMemory',
        slots=3,
        loss=dict(type='mmimbal.BatchAllTripletLoss'),
    )
    cfg.model.head.warmup_epochs = 2
    cfg.train_dataloader.dataset.pipeline = VIEWS
    cfg.default_hooks.checkpoint.max_keep_ckpts = 2
    return cfg


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class KillAt(Hook):
    """Kill the process at a point of an epoch."""

    def __init__(self, point: str, epoch: int, batch: int = 0) -> None:
        self.point, self.epoch, self.batch = point, epoch, batch

    def _kill(self, runner, point, batch=0):
        if (point, runner.epoch, batch) == (self.point, self.epoch, self.batch):
            kill()

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self._kill(runner, 'train', batch_idx)

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        self._kill(runner, 'val', batch_idx)

    def after_val_epoch(self, runner, metrics=None):
        self._kill(runner, 'after val')

    def after_train(self, runner):
        self._kill(runner, 'end')


class KillInWrite:
    """Let the system kill the process when half of its nth file is on disk.

    It may write no file beyond that size then. The signal that comes with it is one
    that Python ignores, but that ends a process by itself.
    """

    def __init__(self, nth: int) -> None:
        self.left = nth

    def __call__(self, runner) -> None:
        put = save_checkpoint.AtomicBackend.put

        def limited_put(backend, obj, filepath):
            self.left -= 1
            if not self.left:
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                resource.setrlimit(resource.RLIMIT_FSIZE, (len(obj) // 2,) * 2)
            put(backend, obj, filepath)

        save_checkpoint.AtomicBackend.put = limited_put

    def check(self, work_dir: Path, exitcode: int) -> None:
        """Check that it was so."""
        assert exitcode == -signal.SIGXFSZ
        (half,) = work_dir.glob('*.unfinished')
        whole = [file.stat().st_size for file in work_dir.glob('epoch_*.pth')]
        assert half.stat().st_size == pytest.approx(whole[0] / 2, rel=0.2)


class KillBeforeRename(KillInWrite):
    """Kill the process when its nth file is whole, but not yet in its place."""

    def __call__(self, runner) -> None:
        replace = atomic.os.replace

        def killing_replace(source, target):
            self.left -= 1
            if not self.left:
                kill()
            replace(source, target)

        atomic.os.replace = killing_replace

    def check(self, work_dir: Path, exitcode: int) -> None:
        """Check that it was so."""
        assert exitcode == -signal.SIGKILL
        (whole,) = work_dir.glob('*.unfinished')
        checkpoint.load_from_local(whole)


def killed(cfg, prepare) -> None:
    """Run a config in a process that ``prepare(runner)`` gets killed."""

    def run():
        runner = Runner.from_cfg(cfg)
        prepare(runner)
        runner.train()

    process = multiprocessing.get_context('fork').Process(target=run)
    process.start()
    process.join()
    if isinstance(prepare, KillInWrite):
        prepare.check(Path(cfg.work_dir), process.exitcode)
    else:
        assert process.exitcode == -signal.SIGKILL


def logged(runner) -> dict:
    """Return every value a run has logged, timings apart."""
    return {
        name: buffer.data[0].tolist()
        for name, buffer in runner.message_hub.log_scalars.items()
        if not name.endswith(('time', 'memory'))
    }


def assert_same(found, expected):
    one, other = found.model.state_dict(), expected.model.state_dict()
    assert one.keys() == other.keys()
    assert [name for name in one if not one[name].equal(other[name])] == []
    assert logged(found) == logged(expected)
    best = [
        sorted(file.name for file in Path(run.work_dir).glob('*.pth'))
        for run in (found, expected)
    ]
    assert best[0] == best[1]


@pytest.fixture(scope='module')
def straight(tmp_path_factory):
    """Return runs that were never killed, by the workers of their loader."""
    folder = tmp_path_factory.mktemp('straight')
    return {
        workers: train(
            stage1(folder / str(workers), train_dataloader__num_workers=workers)
        )
        for workers in (0, 2)
    }


POINTS = {
    'first epoch': lambda runner: runner.register_hook(KillAt('train', 0, 2)),
    'validation': lambda runner: runner.register_hook(KillAt('val', 2)),
    'after validation': lambda runner: runner.register_hook(KillAt('after val', 3)),
    'last validation': lambda runner: runner.register_hook(KillAt('val', EPOCHS)),
    'end': lambda runner: runner.register_hook(KillAt('end', EPOCHS)),
    **{f'in write {n}': KillInWrite(n) for n in (3, 4, 5)},
    **{f'after write {n}': KillBeforeRename(n) for n in (3, 4)},
}


@pytest.mark.parametrize('point', POINTS)
def test_a_chosen_moment(point, straight, tmp_path):
    killed(stage1(tmp_path, train_dataloader__num_workers=0), POINTS[point])
    resumed = train(stage1(tmp_path, train_dataloader__num_workers=0, resume=True))
    assert_same(resumed, straight[0])


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('seed', range(3))
def test_a_random_moment(seed, workers, straight, tmp_path):
    _random_moment(seed, workers, straight, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('seed', range(3, 13))
def test_many_random_moments(seed, workers, straight, tmp_path):
    _random_moment(seed, workers, straight, tmp_path)


def _random_moment(seed, workers, straight, tmp_path):
    drawn = random.Random(seed)
    batches = len(straight[0].train_dataloader)
    hook = KillAt('train', drawn.randrange(EPOCHS), drawn.randrange(batches))
    options = dict(train_dataloader__num_workers=workers)
    killed(stage1(tmp_path, **options), lambda runner: runner.register_hook(hook))
    resumed = train(stage1(tmp_path, **options, resume=True))
    assert_same(resumed, straight[workers])


def test_the_same_seed_gives_the_same_bits(straight, tmp_path):
    for workers, expected in straight.items():
        options = dict(train_dataloader__num_workers=workers)
        assert_same(train(stage1(tmp_path / str(workers), **options)), expected)


def test_augmentations_differ_between_epochs_and_seeds(straight, tmp_path):
    """The straight runs would also be equal if nothing were random."""
    other = train(stage1(tmp_path, randomness=dict(seed=1)))
    values = [logged(run)['train/loss'] for run in (*straight.values(), other)]
    assert values[0] != values[1] != values[2] != values[0]


def single_run(work_dir, **options):
    """Return a run of both stages, the second from epoch 2 on."""
    cfg = tiny_digits(
        'two_stage_triplet_crt', work_dir, train_cfg__max_epochs=EPOCHS, **options
    )
    cfg.default_hooks.two_stage.epoch = 2
    cfg.train_dataloader.dataset.pipeline = VIEWS
    cfg.default_hooks.checkpoint.max_keep_ckpts = 2
    return cfg


@pytest.fixture(scope='module')
def both_stages(tmp_path_factory):
    return train(single_run(tmp_path_factory.mktemp('both')))


@pytest.mark.parametrize('moment', [('train', 1, 3), ('val', 2), ('train', 3, 1)])
def test_both_stages_in_one_run(moment, both_stages, tmp_path):
    """Before, at and after the switch."""
    killed(single_run(tmp_path), lambda runner: runner.register_hook(KillAt(*moment)))
    assert_same(train(single_run(tmp_path, resume=True)), both_stages)


@pytest.fixture(scope='module')
def backbone(tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('backbone')
    train(tiny_digits('stage1_ce', work_dir))
    return work_dir


def stage2(work_dir, backbone, **options):
    cfg = tiny_digits('stage2_crt', work_dir, **options)
    cfg.default_hooks.two_stage.stage1 = str(backbone)
    cfg.default_hooks.checkpoint.max_keep_ckpts = 2
    cfg.train_dataloader.dataset.pipeline = VIEWS
    cfg.train_cfg = dict(
        type='mmimbal.CachedFeaturesTrainLoop', max_epochs=EPOCHS, views=2
    )
    return cfg


@pytest.fixture(scope='module')
def straight_stage2(backbone, tmp_path_factory):
    return train(stage2(tmp_path_factory.mktemp('straight_stage2'), backbone))


def kill_in_cache(runner) -> None:
    """Kill the process when half of the features are written."""
    extract = feature_cache.extract

    def cut(*args):
        for number, features in enumerate(extract(*args)):
            if number == 3:
                kill()
            yield features

    feature_cache.extract = cut


@pytest.mark.parametrize(
    'prepare',
    [
        kill_in_cache,
        POINTS['validation'],
        POINTS['last validation'],
        POINTS['in write 3'],
        POINTS['after write 3'],
        lambda runner: runner.register_hook(KillAt('train', 2, 1)),
    ],
)
def test_stage_2_on_cached_features(prepare, backbone, straight_stage2, tmp_path):
    killed(stage2(tmp_path, backbone), prepare)
    resumed = train(stage2(tmp_path, backbone, resume=True))
    assert_same(resumed, straight_stage2)


def test_a_broken_checkpoint_is_passed_over(straight, tmp_path):
    hook = KillAt('train', 3)
    killed(stage1(tmp_path), lambda runner: runner.register_hook(hook))
    newest = tmp_path / 'epoch_3.pth'
    newest.write_bytes(newest.read_bytes()[:1000])
    resumed = train(stage1(tmp_path, resume=True))
    assert_same(resumed, straight[0])
    assert 'Skipped' in log_of(resumed) and 'epoch_3.pth' in log_of(resumed)
