"""Save in checkpoints which groups the model has seen."""

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
    are the groups of both stages. Datasets without groups count files.
    """

    hashes: np.ndarray | None = None

    def before_train(self, runner: Runner) -> None:
        """Hash the groups of the training images, and add those of stage 1."""
        groups = groups_or_files(runner.train_dataloader.dataset)
        if groups is None:
            return
        known = [] if self.hashes is None else [self.hashes]
        for hook in runner.hooks:
            if isinstance(hook, TwoStageHook) and hook.stage1 and not hook.resumed:
                known.append(training_groups_of(hook.stage1))
        self.hashes = np.unique(np.concatenate([hash_groups(groups), *known]))

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the groups of a run that is resumed."""
        hashes = checkpoint.get('meta', {}).get('training_groups')
        if runner._resume and hashes is not None:
            self.hashes = hashes.numpy()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Save the hashes."""
        if self.hashes is not None:
            groups = torch.from_numpy(self.hashes.copy())
            checkpoint['meta']['training_groups'] = groups
