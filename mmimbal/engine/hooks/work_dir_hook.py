"""Allow only one experiment in a work dir."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmimbal.files.checkpoint import load_from_local
from mmimbal.files.work_dir import checkpoints_of_run, last_checkpoint
from mmimbal.registry import HOOKS

# Config keys that say how a run is started, not what it computes.
LAUNCH_KEYS = (
    'experiment_name',
    'launcher',
    'load_from',
    'model_wrapper_cfg',
    'resume',
    'work_dir',
)


@HOOKS.register_module()
class WorkDirHook(Hook):
    """Refuse to overwrite the checkpoints of a run with another config.

    The config in the newest checkpoint is compared as text; it is never executed. A
    resumed run may have another config.

    Raises:
        FileExistsError: If the work dir contains checkpoints of another config; the
            message shows the lines that differ.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Compare the config with that in the last checkpoint."""
        if not runner._resume:
            check_work_dir(Path(runner.work_dir), runner.cfg)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Log the lines of the config that differ from those of a resumed run."""
        old = checkpoint.get('meta', {}).get('cfg')
        if not runner._resume or not isinstance(old, str):
            return
        if lines := differing_lines(old, runner.cfg.pretty_text):
            runner.logger.info(
                'The config has changed since this checkpoint (- then, + now):\n'
                + '\n'.join(lines)
            )


def check_work_dir(work_dir: Path, cfg: Config) -> None:
    """Check that a work dir has no checkpoint of another config.

    A Runner writes its config into the work dir as soon as it is built, so a tool calls
    this before.

    Raises:
        FileExistsError: As :class:`WorkDirHook` does.
    """
    last = last_checkpoint(work_dir)
    written = checkpoints_of_run(work_dir)  # a run may have been killed early
    checkpoint = last if last and last.is_file() else written[-1] if written else None
    old = config_of(checkpoint) if checkpoint else None
    if old is None:
        return
    differences = differing_lines(old, cfg.pretty_text)
    if differences:
        raise FileExistsError(
            f'{work_dir} contains a run with another config. Choose another '
            '--work-dir, remove that one, or continue that run with this config: '
            '--resume. Lines that differ (- there, + now):\n'
            + '\n'.join(differences[:10])
        )


def config_of(checkpoint: Path) -> str | None:
    """Return the config in a checkpoint, ``None`` without one or if it is damaged."""
    try:
        config = load_from_local(checkpoint, 'cpu').get('meta', {}).get('cfg')
    except ValueError:
        return None
    return config if isinstance(config, str) else None


def differing_lines(old: str, new: str) -> list[str]:
    """Return the lines in which two config texts differ; ``LAUNCH_KEYS`` may differ."""
    lines = [lines_without(LAUNCH_KEYS, text) for text in (old, new)]
    return [
        line
        for line in difflib.unified_diff(*lines, lineterm='', n=0)
        if not line.startswith(('---', '+++', '@@'))
    ]


def lines_without(keys: Sequence[str], text: str) -> list[str]:
    """Return the lines of a config text, except those of some keys."""
    lines, is_kept = [], True
    for line in text.splitlines():
        if key := re.match(r'(\w+) ?=', line):
            is_kept = key[1] not in keys
        if is_kept:
            lines.append(line)
    return lines
