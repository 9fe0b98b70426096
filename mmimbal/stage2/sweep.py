"""Every rebalancer on the features of one frozen backbone."""

import copy
import hashlib
from pathlib import Path

import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS
from torch import nn

from mmimbal.datasets import get_class_counts, get_class_names, get_labels
from mmimbal.evaluation.metrics import summarise
from mmimbal.evaluation.predictions import Predictions, predictions_for
from mmimbal.files.atomic import check_is_no_file, write_text
from mmimbal.files.checkpoint import load_from_local, save_checkpoint_file
from mmimbal.stage2.freezing import FROZEN_PARTS
from mmimbal.stage2.head_run import HeadRun
from mmimbal.stage2.head_training import build_head, probabilities, train_head
from mmimbal.stage2.stage1_features import Stage1Features
from mmimbal.stage2.sweep_result import STAGE1, SweepRow

# What a head depends on, besides its own config and the features.
READ_KEYS = ('train_dataloader', 'optim_wrapper', 'param_scheduler', 'train_cfg')


class Sweep:
    """Heads on one frozen backbone, each kept in a file as soon as it is trained.

    Args:
        frozen: The backbone.
        folder: Where heads are kept. A head that is there, with all that it depends on,
            is not trained again.
    """

    def __init__(self, frozen: Stage1Features, folder: Path) -> None:
        self.frozen = frozen
        self.folder = folder
        self.stage1_head = _digest(frozen.head)
        check_is_no_file(folder)
        folder.mkdir(parents=True, exist_ok=True)

    def file(self, run: HeadRun) -> Path:
        """Return where a run is kept: it names all that the head depends on."""
        cfg = run.config
        parts = [cfg.model.head, *(cfg.get(key) for key in READ_KEYS)]
        parts += [features.filename for features in self.frozen.features.values()]
        digest = hashlib.sha256(repr(parts).encode())
        digest.update(self.stage1_head)
        return (
            self.folder / f'{run.method}_seed{run.seed}_{digest.hexdigest()[:12]}.pth'
        )

    def read(self, run: HeadRun) -> dict:
        """Return what is kept of a run: ``state_dict``, metrics ``val``, ``error``.

        Without metrics, the error says why: training diverged or was impossible.
        """
        return load_from_local(self.file(run), 'cpu')

    def head(self, run: HeadRun, state: dict | None = None) -> nn.Module:
        """Return the head of a run, with its state, or trained if there is none."""
        cfg, features = run.config, self.frozen.features['train']
        head = build_head(
            cfg.model.head, run.seed, self.frozen.head, features.shape[2:]
        )
        if state:
            head.load_state_dict(state)
        else:
            train_head(head, cfg, self.frozen.datasets['train'], features, run.seed)
        return head

    def predict(self, head: nn.Module, split: str, **about) -> Predictions:
        """Return what a head says of the images of a split.

        Args:
            head: Trained.
            split: ``'val'`` or ``'test'``.
            **about: What else is kept beside the predictions.

        Raises:
            FloatingPointError: If its training has diverged.
        """
        return predictions_for(
            self.frozen.datasets[split],
            probabilities(head, self.frozen.features[split][0]),
            get_class_counts(self.frozen.datasets['train']),
            **about,
            split=split,
        )

    def score(self, head: nn.Module, split: str) -> dict[str, float]:
        """Return the metrics of a head on a split; see :meth:`predict`."""
        dataset = self.frozen.datasets[split]
        scores = probabilities(head, self.frozen.features[split][0])
        return summarise(scores, get_labels(dataset), get_class_names(dataset))

    def score_if_finite(self, head: nn.Module, split: str) -> dict[str, float] | None:
        """Return the metrics; none without the split, or if a score is not finite."""
        if split not in self.frozen.datasets:
            return None
        try:
            return self.score(head, split)
        except FloatingPointError:
            return None

    def train_one(self, run: HeadRun) -> None:
        """Train a run, score it on validation, and keep both.

        The state of a fitted head is not kept: fitting takes no longer than reading.
        """
        kept = dict(state_dict={}, val=None, error='')
        try:
            head = self.head(run)
            kept['val'] = self.score(head, 'val')
            if not run.is_fitted:
                kept['state_dict'] = head.state_dict()
        except FloatingPointError:
            kept['error'] = f'diverged with {run}'
        except ValueError as error:
            kept['error'] = str(error)
        save_checkpoint_file(kept, self.file(run))

    def is_trained(self, run: HeadRun) -> bool:
        """Return whether the file of a run is there."""
        return self.file(run).is_file()

    def choose(self, runs: list[HeadRun], metric: str) -> HeadRun:
        """Return the run that is best on validation, the first of equals.

        Raises:
            ValueError: If none could be trained; the message is that of the first.
        """
        kept = [self.read(run) for run in runs]
        scores = [found['val'][metric] if found['val'] else -1.0 for found in kept]
        best = max(range(len(runs)), key=scores.__getitem__)
        if scores[best] < 0:
            raise ValueError(kept[0]['error'])
        return runs[best]

    def row(self, runs: list[HeadRun]) -> SweepRow:
        """Return the row of a method: each seed on validation and on test."""
        seeds = []
        for run in runs:
            val = self.read(run)['val']
            test = self.score_if_finite(self.trained(run), 'test') if val else None
            seeds.append(dict(seed=run.seed, val=val, test=test))
        return SweepRow(runs[0].method, runs[0].params, str(runs[0]), seeds)

    def row_of_stage1(self, cfg: Config) -> SweepRow:
        """Return the row of the classifier of stage 1, whose config this is."""
        head = self.stage1_classifier(cfg)
        scores = {split: self.score_if_finite(head, split) for split in ('val', 'test')}
        return SweepRow(STAGE1, {}, '', [dict(seed=0, **scores)])

    def trained(self, run: HeadRun) -> nn.Module:
        """Return the head of a run that was trained."""
        return self.head(run, self.read(run)['state_dict'])

    def stage1_classifier(self, cfg: Config) -> nn.Module:
        """Return the classifier of stage 1, whose config this is."""
        head = MODELS.build(copy.deepcopy(cfg.model.head))
        head.load_state_dict(self.frozen.head)
        return head

    def save_checkpoint(self, run: HeadRun, file: Path) -> None:
        """Write the whole model of a run as an ordinary checkpoint.

        Args:
            run: The run, trained.
            file: The checkpoint; its config goes beside it, ending in ``.py``.
        """
        state = {
            key: value
            for key, value in self.frozen.state.items()
            if key.startswith(FROZEN_PARTS)
        }
        head = self.trained(run).state_dict()
        state |= {f'head.{key}': value for key, value in head.items()}
        train, cfg = self.frozen.datasets['train'], run.config
        cfg.work_dir = str(file.with_suffix(''))
        meta = dict(
            dataset_meta=dict(train.metainfo),
            class_counts=get_class_counts(train).tolist(),
            stage=2,
            stage1=self.frozen.checkpoint,
            seed=run.seed,
            cfg=cfg.pretty_text,
        )
        save_checkpoint_file(dict(state_dict=state, meta=meta), file)
        write_text(cfg.pretty_text, file.with_suffix('.py'))


def _digest(state: dict[str, torch.Tensor]) -> bytes:
    """Return a hash of weights."""
    digest = hashlib.sha256()
    for name, value in state.items():
        digest.update(name.encode())
        digest.update(value.contiguous().view(-1).numpy().tobytes())
    return digest.digest()
