"""Continue a stopped run as if it had never been stopped."""

import random
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import EarlyStoppingHook, EMAHook, Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from mmengine.runner.checkpoint import find_latest_checkpoint
from pytorch_metric_learning.losses import CrossBatchMemory

from mmimbal.datasets.labels_and_groups import check_trained_classes
from mmimbal.engine.best_score import best_by, forget_best_score
from mmimbal.engine.ddp import seed_of_first_rank
from mmimbal.engine.hooks.stages import config_of_stage, first_epoch, single_run
from mmimbal.engine.newest_checkpoint import newest_loadable
from mmimbal.engine.resumed_numbers import (
    SWITCH,
    check_seed,
    check_start,
    counts_epochs,
    numbers_of,
    numbers_of_stage2,
)
from mmimbal.engine.resumed_optimizer import Stopped, resume_optimizer
from mmimbal.registry import HOOKS

VALIDATED = 'epoch_validated'  # beginning with val, it would be logged as a metric
BEST_BY = 'best_by'


@HOOKS.register_module()
class ResumeHook(Hook):
    """Make a resumed run identical, bit for bit, to a run that was never stopped.

    This hook adds some things to mmengine; the second and third only for loops that
    count epochs:

    * A run resumes from the newest checkpoint of the work dir that can be loaded. It
      warns of damaged ones.
    * If the run was stopped before the validation of its last epoch, this validation
      is run first.
    * The random state is set at the start of each epoch, as a function of ``(seed,
      epoch, rank)``. Loader workers are seeded from it. Augmentations still differ
      between epochs, and an interrupted epoch is repeated exactly.
    * If the config has other numbers than the run that was stopped, such as more
      epochs, another schedule, learning rate or weight decay, the log names each of
      them. They apply from this epoch on; the schedule is where it would be if it had
      been so from the start.

    It warns if a resumed run will differ nevertheless: because of persistent workers,
    gradients that accumulate over the end of an epoch, or a CrossBatchMemory or an
    EarlyStoppingHook, which are not saved.

    Raises:
        ValueError: At the start of a resumed run, if a number has changed that must
            not: the seed, the optimizer's type, its parameter groups, the batch size,
            the number of iterations per epoch, or the end of a run to an epoch that is
            done.
    """

    priority = 'VERY_HIGH'
    pending = False
    stopped: Stopped | None = None
    warned_of_gradients = False
    is_inside_epoch = False

    def before_run(self, runner: Runner) -> None:
        """Choose the checkpoint to resume from."""
        if runner._resume and runner._load_from is None:
            unit = 'epoch' if counts_epochs(runner.train_loop) else 'iter'
            work_dir = Path(runner.work_dir)
            checkpoint = newest_loadable(work_dir, runner.logger, unit)
            checkpoint = checkpoint or find_latest_checkpoint(runner.work_dir)
            runner._load_from = str(checkpoint) if checkpoint else None
            if not checkpoint:
                runner._resume = False
                runner.logger.warning(
                    f'No checkpoint in {runner.work_dir}: nothing to resume, training '
                    'starts at the beginning'
                )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note whether an epoch has to be validated; keep the optimizer's state."""
        if not runner._resume:
            return
        if 'ema_state_dict' in checkpoint and not any(
            isinstance(hook, EMAHook) for hook in runner.hooks
        ):
            raise ValueError(
                'cannot resume: the run averaged its weights with EMAHook, which this '
                'config does not have. Add it, or start from the averaged weights with '
                'load_from'
            )
        meta = checkpoint['meta']
        done = checkpoint.get('message_hub', {}).get('runtime_info', {})
        before, now = meta.get(BEST_BY), best_by(runner.hooks)
        if before and now and before != now:
            forget_best_score(done)
            runner.logger.warning(
                f'Resumed with another save_best: {", ".join(before)} -> '
                f'{", ".join(now)}. The best score before does not count'
            )
        self.pending = done.get(VALIDATED) != meta['epoch']
        switch = single_run(runner)
        if meta.get('stage') != 2 or switch is None:  # else it has built a new loader
            check_seed(meta.get('seed'), seed_of_first_rank(runner))
        check_start(runner.train_loop, meta, switch.epoch if switch else None)
        dataset = runner.train_dataloader.dataset
        check_trained_classes(meta, dataset, 'the checkpoint to resume')
        if not isinstance(runner.optim_wrapper, OptimWrapperDict):
            # Loaded when a second stage has its own optimizer and schedule.
            self.stopped = Stopped(
                checkpoint.pop('optimizer', None),
                checkpoint.pop('param_schedulers', None),
                meta.get('numbers'),
            )

    def before_train(self, runner: Runner) -> None:
        """Resume the optimizer; seed loader workers; warn of what will differ."""
        if self.stopped:
            length, start = len(runner.train_dataloader), first_epoch(runner)
            by_epoch = counts_epochs(runner.train_loop)
            iterations = (runner.epoch - start) * length if by_epoch else runner.iter
            resume_optimizer(runner, self.stopped, all_numbers(runner), iterations)
            self.stopped = None
        loader = runner.train_dataloader
        loader.worker_init_fn = seed_worker
        if loader.num_workers and loader.persistent_workers:
            runner.logger.warning(
                'A resumed run will differ, because persistent workers are not seeded '
                'again in each epoch: set train_dataloader.persistent_workers=False'
            )
        steps = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        if len(loader) % steps:
            runner.logger.warning(
                f'A resumed run will differ: accumulative_counts={steps} does not '
                f'divide the {len(loader)} iterations of an epoch, and checkpoints do '
                'not contain the gradients of the last iterations'
            )
            self.warned_of_gradients = True
        if any(isinstance(each, CrossBatchMemory) for each in runner.model.modules()):
            runner.logger.warning(
                'A resumed run will differ: checkpoints do not contain the memory of '
                'CrossBatchMemory. mmimbal.ClassBalancedMemory is saved'
            )
        if any(isinstance(hook, EarlyStoppingHook) for hook in runner.hooks):
            runner.logger.warning(
                'A resumed run may end later: EarlyStoppingHook counts from 0 again'
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Validate the previous epoch if that is missing; then seed this epoch."""
        self._validate(runner)
        seed_all(runner.seed, runner.epoch, get_rank())

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Note that an epoch has begun; a loop over iterations has none."""
        self.is_inside_epoch = counts_epochs(runner.train_loop)

    def after_train_epoch(self, runner: Runner) -> None:
        """Note that it has ended, before the checkpoint is written."""
        self.is_inside_epoch = False
        steps = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        # Each stage of a single run has epochs of its own length.
        between_updates = runner.iter % steps and runner.iter < runner.max_iters
        if between_updates and not self.warned_of_gradients:
            self.warned_of_gradients = True
            runner.logger.warning(
                f'A resumed run will differ: epoch {runner.epoch + 1} has ended after '
                f'{runner.iter} iterations, accumulative_counts={steps} does not '
                'divide them, and checkpoints do not contain the gradients of the last '
                'iterations'
            )

    def after_train(self, runner: Runner) -> None:
        """Validate the last epoch, if that is missing."""
        self._validate(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Record, for the next checkpoint, that this epoch was validated."""
        runner.message_hub.update_info(VALIDATED, runner.epoch)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Save the numbers that a resumed run compares, and whether an epoch ended."""
        meta = checkpoint['meta']
        meta['numbers'] = all_numbers(runner)
        meta['is_inside_epoch'] = self.is_inside_epoch
        meta[BEST_BY] = best_by(runner.hooks)

    def _validate(self, runner: Runner) -> None:
        if not self.pending:
            return
        self.pending = False
        loop = runner.train_loop
        if not counts_epochs(loop) or runner.val_loop is None:
            return
        loop._decide_current_val_interval()
        due = loop.epoch % loop.val_interval == 0 or loop.epoch == loop.max_epochs
        if due and loop.epoch >= loop.val_begin:
            runner.logger.info(f'Running the missing validation of epoch {loop.epoch}')
            runner.val_loop.run()


def all_numbers(runner: Runner) -> dict:
    """Return the numbers of the current stage, and of a second one that will come."""
    others, switch = {}, single_run(runner)
    if switch:
        others[SWITCH] = switch.epoch
        if switch.stage == 1:
            others |= numbers_of_stage2(switch.config_of_stage2(runner))
    numbers = numbers_of(config_of_stage(runner), runner.train_loop, runner.world_size)
    return numbers | others


def seed_all(*parts: int) -> None:
    """Seed Python, NumPy and torch from a sequence of numbers."""
    python, numpy, torch_ = np.random.SeedSequence(parts).generate_state(3)
    random.seed(int(python))
    np.random.seed(int(numpy))
    torch.manual_seed(int(torch_))


def seed_worker(worker: int) -> None:
    """Seed Python, NumPy and torch in a loader worker, from torch's seed there."""
    seed_all(torch.initial_seed(), worker)
