"""Stage 2: freeze the backbone and train a new head."""

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn

from mmimbal.datasets import get_sampler
from mmimbal.engine.best_score import forget_best_score
from mmimbal.engine.ddp import (
    average_statistics,
    norms_in_training,
    rewrap_model,
    seed_of_first_rank,
    unwrap_model,
)
from mmimbal.engine.stage2_parts import (
    check_hooks,
    check_parts,
    merged,
    warn_of_schedule,
)
from mmimbal.registry import HOOKS
from mmimbal.stage2.batches_and_schedule import with_ends
from mmimbal.stage2.freezing import (
    check_has_parts,
    check_head_learns,
    freeze_features,
)
from mmimbal.stage2.fresh_head import build_fresh_head
from mmimbal.stage2.stage1 import find_stage1, load_stage1

STAGE2_KEYS = ('model', 'train_dataloader', 'optim_wrapper', 'param_scheduler')


@HOOKS.register_module()
class TwoStageHook(Hook):
    """Train a new head on the frozen backbone of stage 1 (arXiv:1910.09217).

    Stage 2 can be a separate run: ``stage1`` is the checkpoint of the backbone, and
    the head is that of the config. Or a single run trains both stages: stage 2 begins
    at ``epoch``, with the changes in ``stage2`` and with a new head, sampler,
    optimizer and schedule. A resumed run continues in its stage; it does not load
    stage 1 or initialise the head again.

    Args:
        stage1: Checkpoint of stage 1, or its work dir: then its best checkpoint, or
            else its last.
        epoch: First epoch of stage 2 in a single run, counted from 0.
        stage2: For a single run: changes of ``model.head``, ``train_dataloader``,
            ``optim_wrapper`` and ``param_scheduler``, merged as in a config that
            inherits. Schedules, and the epochs of losses, heads and
            ClassBalancedSampler, count from the start of stage 2.
        bn: ``'frozen'``: backbone and neck do not change at all. ``'updated'``: batch
            norm keeps updating its statistics, as in the reference code of cRT.

    Raises:
        ValueError: If neither or both of ``stage1`` and ``epoch`` are given, ``bn`` is
            unknown, or ``stage2`` has other keys. At the start of training: if a
            single run uses EMA, may be stopped early or ends before ``epoch``; if a
            part of its stage 2 cannot be built; if the head of stage 2 has nothing to
            train; if a separate run has ``load_from``; or if the checkpoint to resume
            was written by a run without this hook.
        FileNotFoundError: At the start of training, if ``stage1`` does not exist.
    """

    # Before the hooks that use the sampler, the optimizer or the class counts.
    priority = 'ABOVE_NORMAL'

    def __init__(
        self,
        stage1: str | None = None,
        epoch: int | None = None,
        stage2: dict | None = None,
        bn: str = 'frozen',
    ) -> None:
        if (stage1 is None) == (epoch is None):
            raise ValueError(
                'TwoStageHook takes either stage1 (for a separate run) or epoch (the '
                f'first of stage 2 in a single run), got stage1={stage1}, epoch={epoch}'
            )
        if bn not in ('frozen', 'updated'):
            raise ValueError(f"bn={bn!r} must be 'frozen' or 'updated'")
        unknown = set(stage2 or {}) - set(STAGE2_KEYS)
        if unknown or (stage2 and epoch is None):
            raise ValueError(
                f'stage2 may change {", ".join(STAGE2_KEYS)}, in a single run with '
                f'epoch; got {", ".join(stage2)} with epoch={epoch}'
            )
        others = set((stage2 or {}).get('model', {})) - {'head'}
        if others:
            raise ValueError(
                f'stage2 may change model.head only, got model.'
                f'{", model.".join(others)}'
            )
        self.stage1 = stage1
        self.epoch = epoch
        self.stage2 = stage2 or {}
        self.bn = bn
        self.stage = 1
        self.resumed = False

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Switch to stage 2, before a resumed run loads the optimizer state."""
        if not runner._resume:
            return
        stage = checkpoint.get('meta', {}).get('stage')
        if stage is None:
            raise ValueError(
                'cannot resume: the checkpoint was not written by a run with a '
                'TwoStageHook. To start stage 2 from this checkpoint, set stage1 of '
                'the hook, or use --stage1 of our tools/train.py'
            )
        self.resumed = True
        if self.epoch is not None and stage == 2:
            self._switch(runner, checkpoint['meta']['seed'])

    def before_train(self, runner: Runner) -> None:
        """Begin stage 2 in a separate run; check that a single run reaches it."""
        check_has_parts(unwrap_model(runner.model))
        if self.epoch is not None:
            check_hooks(runner.hooks)
            loop = runner.train_loop
            by_epoch = isinstance(loop, EpochBasedTrainLoop)
            if not by_epoch or not 0 <= self.epoch < loop.max_epochs:
                raise ValueError(
                    f'stage 2 would never begin: TwoStageHook has epoch={self.epoch}, '
                    f'train_cfg has max_epochs={loop.max_epochs} and '
                    f'by_epoch={by_epoch}. Use by_epoch=True and an epoch from 0 to '
                    'max_epochs - 1'
                )
            if self.stage == 1:
                self._check(runner)
            return
        if not self.resumed:
            if runner._load_from:
                raise ValueError(
                    f'load_from={runner._load_from} would also load the head of stage '
                    '1. Use stage1 of the TwoStageHook instead'
                )
            model = unwrap_model(runner.model)
            check_head_learns(model, model.head)
            checkpoint = find_stage1(self.stage1)
            load_stage1(model, checkpoint, runner.train_dataloader.dataset)
            runner.logger.info(
                f'Stage 2: backbone and neck from {checkpoint}, a new '
                f'{type(model.head).__name__}'
            )
        self._freeze(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        """Begin stage 2 of a single run, at its first epoch."""
        if self.epoch is not None and self.stage == 1 and runner.epoch >= self.epoch:
            # The best score of stage 1 belongs to the old head: it does not count.
            forget_best_score(runner.message_hub.runtime_info)
            # Frozen statistics would stay those of the images of each rank.
            runner.model.train()
            average_statistics(norms_in_training(runner.model))
            self._switch(runner, seed_of_first_rank(runner))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Save the stage."""
        checkpoint['meta']['stage'] = self.stage

    def config_of_stage2(self, runner: Runner) -> Config:
        """Return the config of stage 2 of a single run."""
        return merged(runner.cfg, self.stage2)

    def _check(self, runner: Runner) -> None:
        """Find errors in the config of stage 2 before stage 1 is trained."""
        cfg = self.config_of_stage2(runner)
        try:
            head = build_fresh_head(
                unwrap_model(runner.model).head, cfg.model.head, runner.seed
            )
        except TypeError as error:
            raise ValueError(
                f'stage2.model.head of the TwoStageHook cannot be built: {error}'
            ) from error
        check_head_learns(unwrap_model(runner.model), head)
        check_parts(runner, cfg, head, runner.train_loop.max_epochs - self.epoch)
        warn_of_schedule(runner, self.stage2)

    def _switch(self, runner: Runner, seed: int) -> None:
        """Replace head, loader, optimizer and schedule with those of stage 2."""
        cfg = self.config_of_stage2(runner)
        model, loop = unwrap_model(runner.model), runner.train_loop
        model.head = build_fresh_head(model.head, cfg.model.head, seed)
        self._freeze(runner)

        stage1_iters = self.epoch * len(loop.dataloader)
        seed_worker = loop.dataloader.worker_init_fn
        loop.dataloader = None  # frees its cached images before the new one is built
        # With diff_rank_seed, mmengine gives none, and the sampler would draw one.
        cfg.train_dataloader.sampler.setdefault('seed', seed)
        runner._train_dataloader = cfg.train_dataloader  # scale_lr reads its batch size
        loop.dataloader = runner.build_dataloader(
            cfg.train_dataloader,
            seed=seed,
            diff_rank_seed=cfg.get('randomness', {}).get('diff_rank_seed', False),
        )
        loop.dataloader.worker_init_fn = seed_worker  # a ResumeHook may have set it
        sampler = get_sampler(loop.dataloader)
        if hasattr(sampler, 'first_epoch'):
            sampler.first_epoch = self.epoch
        for name in [
            n for n in runner.message_hub.log_scalars if n.startswith('train/')
        ]:
            runner.message_hub.log_scalars.pop(name)  # stage 2 has other losses
        epochs = loop.max_epochs - self.epoch
        iters = epochs * len(loop.dataloader)
        loop._max_iters = stage1_iters + iters

        runner.optim_wrapper = runner.build_optim_wrapper(cfg.optim_wrapper)
        runner.param_schedulers = schedule = cfg.get('param_scheduler')
        runner.scale_lr(runner.optim_wrapper, runner.auto_scale_lr)
        runner.optim_wrapper.initialize_count_status(
            runner.model, loop.iter, loop.max_iters
        )
        if schedule is not None:
            parts = with_ends(schedule, epochs, len(loop.dataloader))
            runner.param_schedulers = runner.build_param_scheduler(parts)
        runner.logger.info(
            f'Stage 2: a new {type(model.head).__name__}, sampler, optimizer and '
            'schedule'
        )

    def _freeze(self, runner: Runner) -> None:
        model = unwrap_model(runner.model)
        parts = freeze_features(model, update_bn=self.bn == 'updated')
        rewrap_model(runner)
        self.stage = 2
        runner.logger.info(
            f'Stage 2: froze {" and ".join(parts)} ({_size(model, parts, False)}, '
            f'BN statistics {self.bn}); training head ({_size(model, ["head"], True)})'
        )


def _size(model: nn.Module, parts: list[str], learning: bool) -> str:
    weights = [
        weight.numel()
        for part in parts
        for weight in getattr(model, part).parameters()
        if weight.requires_grad == learning
    ]
    return f'{sum(weights):,} weights in {len(weights)} tensors'
