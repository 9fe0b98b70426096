"""Load checkpoints safely, and write them atomically and faster."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner

from mmimbal.engine.matching_weights import checked_weights
from mmimbal.files.atomic import remove_leftovers
from mmimbal.files.checkpoint import safe_loading
from mmimbal.files.config_text import CachedTextConfig
from mmimbal.files.save_checkpoint import atomic_saving
from mmimbal.registry import HOOKS

LOADING_METHODS = ('_init_model_weights', 'load_or_resume')  # of a Runner
CHANGED_METHODS = (*LOADING_METHODS, 'save_checkpoint')


@HOOKS.register_module()
class SafeCheckpointHook(Hook):
    """Load checkpoints without running code in them, and write them atomically.

    All loading (``load_from``, ``resume``, weights of ``init_cfg``, ``published_keys``
    of ``CheckpointHook``) has the restrictions of
    :func:`mmimbal.files.checkpoint.load_from_local`. Without this hook, mmengine 0.10.7
    cannot resume with torch >= 2.6. Weights that do not fit at all are refused, see
    :func:`mmimbal.engine.matching_weights.check_weights`. If the process is killed
    while it writes a checkpoint, either the old file or the new one remains. Each
    checkpoint contains the text of the config; it is formatted once instead of each
    time.

    The hook replaces three methods of this Runner, and one of its ``CheckpointHook``,
    from ``before_run`` to ``after_run``. While one of them runs, mmengine's loaders or
    its file backend are replaced; at its end they are restored, also after an error.
    Therefore, even a run that fails changes nothing for later runs in the same process.
    The config of the Runner keeps a class that formats its text only once.
    """

    priority = 'VERY_HIGH'  # before hooks that load

    def before_run(self, runner: Runner) -> None:
        """Replace the methods."""
        self.after_run(runner)  # mmengine does not call it if an earlier run failed
        for name in LOADING_METHODS:
            method = getattr(runner, name)
            for context in (checked_weights, safe_loading):
                method = _run_in_context(context, method)
            setattr(runner, name, method)
        runner.save_checkpoint = _run_in_context(atomic_saving, runner.save_checkpoint)
        for hook in _publishing_hooks(runner):
            hook.after_train = _run_in_context(safe_loading, hook.after_train)
        # An ordinary assignment would add an entry to the config.
        object.__setattr__(runner.cfg, '__class__', CachedTextConfig)

    def before_train(self, runner: Runner) -> None:
        """Remove unfinished checkpoints that killed runs have left in the work dir."""
        if is_main_process():
            remove_leftovers(Path(runner.work_dir))

    def after_run(self, runner: Runner) -> None:
        """Restore the methods."""
        for name in CHANGED_METHODS:
            vars(runner).pop(name, None)
        for hook in _publishing_hooks(runner):
            vars(hook).pop('after_train', None)


def _publishing_hooks(runner: Runner) -> list[CheckpointHook]:
    """Return the hooks that may load a checkpoint after training, to publish it."""
    return [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]


def _run_in_context(
    context: Callable[[], AbstractContextManager], function: Callable
) -> Callable:
    """Wrap a function so that it runs inside a context manager."""

    @wraps(function)
    def run(*args, **kwargs):
        with context():
            return function(*args, **kwargs)

    return run
