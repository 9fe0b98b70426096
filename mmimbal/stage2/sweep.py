"""Train and score heads on the features of one frozen backbone."""

import copy
import hashlib
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS
from torch import nn

from mmimbal.datasets import get_class_counts, get_class_names, get_labels
from mmimbal.datasets.group_hashes import groups_or_files, hash_groups
from mmimbal.datasets.samplers.distinct_groups import get_image_numbers
from mmimbal.evaluation.metrics import summarise
from mmimbal.evaluation.predictions import Predictions, predictions_for
from mmimbal.files.atomic import check_is_no_file, write_text
from mmimbal.files.checkpoint import load_from_local
from mmimbal.files.save_checkpoint import save_checkpoint_file
from mmimbal.files.state_hash import state_hash
from mmimbal.stage2.freezing import FROZEN_PARTS
from mmimbal.stage2.head_run import HeadRun
from mmimbal.stage2.head_training import build_head, probabilities, train_head
from mmimbal.stage2.stage1 import training_groups_of, warning_of_adjusting_twice
from mmimbal.stage2.stage1_features import Stage1Features
from mmimbal.stage2.sweep_result import STAGE1, SweepRow

# Config keys that a head depends on, besides its own config and the features.
TRAINING_KEYS = ('train_dataloader', 'optim_wrapper', 'param_scheduler', 'train_cfg')


class Sweep:
    """Heads on one frozen backbone. Each is saved as soon as it is trained.

    Args:
        stage1: Features and state of stage 1.
        folder: Folder of the heads. The name of a file contains a hash of everything
            that the head depends on. If the file exists, the head is not trained again.
    """

    def __init__(self, stage1: Stage1Features, folder: Path) -> None:
        self.stage1 = stage1
        self.folder = folder
        self.stage1_head_hash = state_hash(stage1.head)
        check_is_no_file(folder)
        folder.mkdir(parents=True, exist_ok=True)

    def file(self, run: HeadRun) -> Path:
        """Return the file of a run."""
        cfg = run.config
        parts = [cfg.model.head, *(cfg.get(key) for key in TRAINING_KEYS)]
        # Each cache has a hash of its content as its name. Test images are not used.
        parts += [
            Path(self.stage1.features[split].filename).parent.name
            for split in ('train', 'val')
        ]
        parts.append(self.stage1_head_hash)
        digest = hashlib.sha256(repr(parts).encode()).hexdigest()
        return self.folder / f'{run.method}_seed{run.seed}_{digest[:12]}.pth'

    def read(self, run: HeadRun) -> dict:
        """Return the content of the file of a run: ``state_dict``, ``val``, ``error``.

        ``val`` are metrics in %. If it is ``None``, ``error`` says why training failed.
        """
        return load_from_local(self.file(run), 'cpu')

    def head(self, run: HeadRun, state: dict | None = None) -> nn.Module:
        """Return the head of a run: with a given state, or trained now."""
        cfg, features = run.config, self.stage1.features['train']
        head = self._new_head(run)
        if state:
            head.load_state_dict(state)
        else:
            train_head(head, cfg, self.stage1.datasets['train'], features, run.seed)
        return head

    def _new_head(self, run: HeadRun) -> nn.Module:
        shape = self.stage1.features['train'].shape[2:]
        return build_head(run.config.model.head, run.seed, self.stage1.head, shape)

    def note(self, run: HeadRun) -> str:
        """Return what to know of the metrics of a run; usually ''."""
        head, loss = self._new_head(run), self.stage1.rebalanced_by
        twice = warning_of_adjusting_twice(head, loss)
        return twice and f'{run.method}: {twice}'

    def predict(self, head: nn.Module, split: str, **about) -> Predictions:
        """Return the predictions of a head for the images of a split.

        Args:
            head: A trained head.
            split: ``'val'`` or ``'test'``.
            **about: Further values to save with the predictions.

        Raises:
            FloatingPointError: If the training of the head has diverged.
        """
        train = self.stage1.datasets['train']
        return predictions_for(
            self.stage1.datasets[split],
            probabilities(head, self.stage1.features[split][0]),
            get_class_counts(train),
            **about,
            split=split,
            training_images=len(np.unique(get_image_numbers(train))),
        )

    def score(self, head: nn.Module, split: str) -> dict[str, float]:
        """Return the metrics of a head on a split, in %; see :meth:`predict`."""
        dataset = self.stage1.datasets[split]
        scores = probabilities(head, self.stage1.features[split][0])
        return summarise(scores, get_labels(dataset), get_class_names(dataset))

    def score_if_finite(self, head: nn.Module, split: str) -> dict[str, float] | None:
        """Return the metrics; ``None`` without the split or with scores not finite."""
        if split not in self.stage1.datasets:
            return None
        try:
            return self.score(head, split)
        except FloatingPointError:
            return None

    def train_one(self, run: HeadRun) -> None:
        """Train a run, score it on validation, and save its file.

        The state of a fitted head is not saved: to fit it takes no longer than to read.
        """
        content = dict(state_dict={}, val=None, error='')
        try:
            head = self.head(run)
            content['val'] = self.score(head, 'val')
            if not run.is_fitted:
                content['state_dict'] = head.state_dict()
        except FloatingPointError:
            content['error'] = f'diverged with {run}'
        except ValueError as error:
            content['error'] = str(error)
        save_checkpoint_file(content, self.file(run))

    def is_trained(self, run: HeadRun) -> bool:
        """Return whether the file of a run exists."""
        return self.file(run).is_file()

    def choose(self, runs: list[HeadRun], metric: str) -> HeadRun:
        """Return the run that is best on validation; if several are, the first.

        Raises:
            ValueError: If all runs failed; the message is the error of the first run.
        """
        contents = [self.read(run) for run in runs]
        scores = [each['val'][metric] if each['val'] else -1.0 for each in contents]
        best = max(range(len(runs)), key=scores.__getitem__)
        if scores[best] < 0:
            raise ValueError(contents[0]['error'])
        return runs[best]

    def row(self, runs: list[HeadRun]) -> SweepRow:
        """Return the row of a method: metrics of each seed on validation and test."""
        seeds = []
        for run in runs:
            val = self.read(run)['val']
            test = self.score_if_finite(self.trained(run), 'test') if val else None
            seeds.append(dict(seed=run.seed, val=val, test=test))
        return SweepRow(runs[0].method, runs[0].params, str(runs[0]), seeds)

    def row_of_stage1(self, cfg: Config) -> SweepRow:
        """Return the row of the classifier of stage 1.

        Args:
            cfg: Config of stage 1.
        """
        head = self.stage1_classifier(cfg)
        scores = {split: self.score_if_finite(head, split) for split in ('val', 'test')}
        return SweepRow(STAGE1, {}, '', [dict(seed=0, **scores)])

    def trained(self, run: HeadRun) -> nn.Module:
        """Return the trained head of a run, from its file."""
        return self.head(run, self.read(run)['state_dict'])

    def stage1_classifier(self, cfg: Config) -> nn.Module:
        """Return the classifier of stage 1.

        Args:
            cfg: Config of stage 1.
        """
        head = MODELS.build(copy.deepcopy(cfg.model.head))
        head.load_state_dict(self.stage1.head)
        return head

    def whole_state(self, head: nn.Module) -> dict[str, torch.Tensor]:
        """Return the state dict of a classifier: backbone, neck and a head."""
        state = {
            key: value
            for key, value in self.stage1.state.items()
            if key.startswith(FROZEN_PARTS)
        }
        return state | {f'head.{k}': value for k, value in head.state_dict().items()}

    def save_checkpoint(self, run: HeadRun, file: Path) -> None:
        """Write backbone, neck and head of a run as an ordinary checkpoint.

        Args:
            run: A trained run.
            file: The checkpoint to write. Its config has the same name, with ``.py``.
        """
        state = self.whole_state(self.trained(run))
        train, cfg = self.stage1.datasets['train'], run.config
        cfg.work_dir = str(file.with_suffix(''))
        meta = dict(
            dataset_meta=dict(train.metainfo),
            class_counts=get_class_counts(train).tolist(),
            stage=2,
            stage1=self.stage1.checkpoint,
            seed=run.seed,
            cfg=cfg.pretty_text,
        )
        groups = groups_or_files(train)
        if groups is not None:
            of_stage1 = training_groups_of(self.stage1.checkpoint)
            hashes = np.union1d(hash_groups(groups), of_stage1)
            meta['training_groups'] = torch.from_numpy(hashes)
        save_checkpoint_file(dict(state_dict=state, meta=meta), file)
        write_text(cfg.pretty_text, file.with_suffix('.py'))
