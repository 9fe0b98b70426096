"""A run that was stopped goes on as if it had not been."""

import random
import re
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import EarlyStoppingHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmimbal.files.checkpoint import load_from_local
from mmimbal.registry import HOOKS

VALIDATED = 'epoch_validated'  # beginning with val, it would be logged as a metric


@HOOKS.register_module()
class ResumeHook(Hook):
    """Make a resumed run the same, to the bit, as one that was never stopped.

    Three things mmengine lacks for that. Resuming takes the newest checkpoint of the
    work dir that is whole, and warns of others. A validation that the stop has
    prevented is made up for. And each epoch begins with the random state of its own, a
    function of ``(seed, epoch, rank)``, from which workers of the loader take theirs:
    so augmentations differ between epochs, and an epoch that was interrupted is
    replayed as it was. For loops that count epochs. It warns of what it cannot make up
    for: persistent workers, gradients accumulated over the end of an epoch, and the
    counter of an EarlyStoppingHook.
    """

    priority = 'VERY_HIGH'
    pending = False

    def before_run(self, runner: Runner) -> None:
        """Choose the checkpoint to go on from."""
        if runner._resume and runner._load_from is None:
            found = newest_whole(Path(runner.work_dir), runner.logger)
            runner._load_from = str(found) if found else None
            if not found:
                runner.logger.warning(
                    f'No checkpoint in {runner.work_dir}: nothing to resume, training '
                    'starts at the beginning'
                )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note whether the validation of its epoch is missing."""
        if runner._resume:
            epoch = checkpoint.get('meta', {}).get('epoch')
            done = checkpoint.get('message_hub', {}).get('runtime_info', {})
            self.pending = done.get(VALIDATED) != epoch

    def before_train(self, runner: Runner) -> None:
        """Let workers take their random state from the main process."""
        loader = runner.train_dataloader
        loader.worker_init_fn = seed_worker
        if loader.num_workers and loader.persistent_workers:
            runner.logger.warning(
                'Augmentations are random beyond (seed, epoch), and a resumed run will '
                'differ: set train_dataloader.persistent_workers=False'
            )
        steps = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        if len(loader) % steps:
            runner.logger.warning(
                f'A resumed run will differ: accumulative_counts={steps} does not '
                f'divide the {len(loader)} iterations of an epoch, and gradients of '
                'the last ones are not in a checkpoint'
            )
        if any(isinstance(hook, EarlyStoppingHook) for hook in runner.hooks):
            runner.logger.warning(
                'A resumed run may end later: EarlyStoppingHook starts counting anew'
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Validate the epoch before, if that is missing; seed this one."""
        self._validate(runner)
        seed_all(runner.seed, runner.epoch, get_rank())

    def after_train(self, runner: Runner) -> None:
        """Validate the last epoch, if that is missing."""
        self._validate(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Note in the next checkpoint that this epoch was validated."""
        runner.message_hub.update_info(VALIDATED, runner.epoch)

    def _validate(self, runner: Runner) -> None:
        if not self.pending:
            return
        self.pending = False
        loop = runner.train_loop
        if not isinstance(loop, EpochBasedTrainLoop) or runner.val_loop is None:
            return
        loop._decide_current_val_interval()
        due = loop.epoch % loop.val_interval == 0 or loop.epoch == loop.max_epochs
        if due and loop.epoch >= loop.val_begin:
            runner.logger.info(f'Making up for the validation of epoch {loop.epoch}')
            runner.val_loop.run()


def newest_whole(work_dir: Path, logger) -> Path | None:
    """Return the newest checkpoint of a run that can be loaded; warn of others.

    Raises:
        UnsafeCheckpointError: If one holds more than plain data.
    """
    numbers = {
        file: int(number[1])
        for file in work_dir.glob('*.pth')
        if (number := re.fullmatch(r'(?:epoch|iter)_(\d+)', file.stem))
    }
    for file in sorted(numbers, key=numbers.get, reverse=True):
        try:
            load_from_local(file, 'cpu')
            return file
        except ValueError as error:
            logger.warning(f'Passed over: {error}')
    return None


def seed_all(*parts: int) -> None:
    """Seed Python, NumPy and torch with a mixture of numbers."""
    python, numpy, torch_ = np.random.SeedSequence(parts).generate_state(3)
    random.seed(int(python))
    np.random.seed(int(numpy))
    torch.manual_seed(int(torch_))


def seed_worker(worker: int) -> None:
    """Seed Python and NumPy in a worker of a loader as torch is seeded there."""
    seed_all(torch.initial_seed(), worker)
