"""Save in checkpoints which groups the model has seen."""

import weakref

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmimbal.datasets.group_hashes import groups_or_files, hash_groups
from mmimbal.engine.hooks.two_stage_hook import TwoStageHook
from mmimbal.registry import HOOKS
from mmimbal.stage2.stage1 import training_groups_of


@HOOKS.register_module()
class TrainingGroupsHook(Hook):
    """Save a hash of each training group (patient, lesion) in checkpoints.

    ``meta['training_groups']`` is a tensor of int64, (G,), sorted. An ensemble is not
    scored on images of a group that one of its members was trained on. In stage 2 they
    are the groups of both stages; after ``load_from``, also those of the checkpoint.
    Datasets without groups count files.
    """

    priority = 'BELOW_NORMAL'  # after the hook that begins stage 2
    hashes: np.ndarray | None = None
    hashed: weakref.ref | None = None  # a dataset

    def before_train(self, runner: Runner) -> None:
        """Add the groups of the training images, and of a separate stage 1."""
        self._add_images(runner)
        for hook in runner.hooks:
            if isinstance(hook, TwoStageHook) and hook.stage1 and not hook.resumed:
                self._add(training_groups_of(hook.stage1))

    def before_train_epoch(self, runner: Runner) -> None:
        """Add the groups of a second stage that has other images."""
        self._add_images(runner)

    def _add_images(self, runner: Runner) -> None:
        dataset = runner.train_dataloader.dataset
        if self.hashed is not None and self.hashed() is dataset:
            return
        self.hashed = weakref.ref(dataset)
        groups = groups_or_files(dataset)
        if groups is not None:
            self._add(hash_groups(groups))

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the groups of a checkpoint that training goes on from."""
        hashes = checkpoint.get('meta', {}).get('training_groups')
        if hashes is not None:
            self._add(hashes.cpu().numpy())  # resuming loads them to the GPU

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Save the hashes."""
        if self.hashes is not None:
            groups = torch.from_numpy(self.hashes.copy())
            checkpoint['meta']['training_groups'] = groups

    def _add(self, hashes: np.ndarray) -> None:
        known = [] if self.hashes is None else [self.hashes]
        self.hashes = np.unique(np.concatenate([hashes, *known]))
