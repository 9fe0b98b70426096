"""One training of a grid, and the heads on its backbone: the commands that run it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mmimbal.command_line.fit_workers import LOADERS
from mmimbal.experiments.run_settings import NOT_IN_RESULT
from mmimbal.files.work_dir import can_resume

FEATURE_VIEWS = 4


@dataclass(frozen=True)
class GridRun:
    """One training of the grid, and the heads of stage 2 on its backbone.

    Attributes:
        experiment: Name of the experiment, such as ``isic2018/64px/triplet``, or path
            of a config.
        dataset: Name of the data set.
        fold: Fold of cross-validation; ``None`` for the split of the data set.
        seed: Seed of the training.
        method: Name of the method in the grid.
        stage2: Methods of stage 2; empty for a method with only one stage.
        options: Changes of the config, by dotted keys.
        flags: Further flags for ``tools/train.py``.
        views: Augmented views of each training image, for heads of stage 2.
        search: Whether hyper-parameters of stage 2 are searched.
    """

    experiment: str
    dataset: str
    fold: int | None
    seed: int
    method: str
    stage2: Sequence[str]
    options: Mapping[str, object] = field(default_factory=dict)
    flags: Sequence[str] = ()
    views: int = FEATURE_VIEWS
    search: bool = True

    @property
    def name(self) -> str:
        """Name of the run, used for its files."""
        fold = 'split' if self.fold is None else f'fold{self.fold}'
        return f'{self.dataset}_{fold}_{self.method}_seed{self.seed}'

    @property
    def settings(self) -> dict:
        """Everything that its result depends on, except the content of files."""
        usual = dict(views=FEATURE_VIEWS, search=True)  # older results do not say it
        settings = {k: v for k, v in asdict(self).items() if usual.get(k) != v}
        settings['options'] = {
            k: v for k, v in self.options.items() if not k.endswith(NOT_IN_RESULT)
        }
        return json.loads(json.dumps(settings))

    def train_command(self, tools: Path, folder: Path) -> list[str]:
        """Return the command that trains, without ``python``.

        Args:
            tools: Folder of the tools.
            folder: Folder of this run. If a training was started there, it is resumed.
        """
        options = {**self.options, 'randomness.seed': self.seed}
        if self.fold is not None:
            options |= fold_options(self.fold)
        work_dir = folder / 'train'
        command = [str(tools / 'train.py'), self.experiment]
        command += ['--work-dir', str(work_dir), *self.flags]
        if can_resume(work_dir):
            command.append('--resume')
        return [
            *command,
            '--cfg-options',
            *(f'{key}={value}' for key, value in sorted(options.items())),
        ]

    def sweep_command(
        self, tools: Path, folder: Path, on_test: bool, processes: int
    ) -> list[str]:
        """Return the command that trains the heads of stage 2, without ``python``.

        Args:
            tools: Folder of the tools.
            folder: Folder of this run.
            on_test: Whether test images are read and predictions are saved.
            processes: Number of processes that train heads.
        """
        return [
            str(tools / 'stage2_sweep.py'),
            str(folder / 'train'),
            *('--methods', *self.stage2),
            *('--seeds', '1', '--processes', str(processes)),
            '--predictions' if on_test else '--validation-only',
            *('--views', str(self.views if self.stage2 else 1)),
            *([] if self.search else ['--no-search']),
            *('--work-dir', str(folder / 'stage2')),
        ]


def fold_options(fold: int) -> dict[str, str]:
    """Return the options that make a config use a fold, by dotted keys."""
    return {f'{loader}.dataset.split_column': f'fold{fold}' for loader in LOADERS}
