"""Checkpoints of a run: loaded safely, written whole, and sooner."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmimbal.files.checkpoint import atomic_saving, safe_loading
from mmimbal.files.config_text import RememberedTextConfig
from mmimbal.registry import HOOKS

LOADS = ('_init_model_weights', 'load_or_resume')  # methods of a Runner that load
CHANGED = (*LOADS, 'save_checkpoint')


@HOOKS.register_module()
class SafeCheckpointHook(Hook):
    """Load checkpoints without running code in them, and write them whole.

    Loading (``load_from``, ``resume``, weights of ``init_cfg``) allows what
    :func:`mmimbal.files.checkpoint.load_from_local` does; it also makes mmengine 0.10.7
    resume at all on torch >= 2.6. A process that is killed while it writes a
    checkpoint leaves the old file or the new one. The text of the config, which each
    checkpoint holds, is formatted once instead of each time.

    Only the Runner at hand is changed, from ``before_run`` to ``after_run``: three of
    its methods. They set mmengine's loaders and its file backend aside while they run,
    and put them back at their end, also after an error. A run that fails, of which
    mmengine tells no hook, leaves nothing changed in the process.
    """

    priority = 'VERY_HIGH'  # before hooks that load

    def before_run(self, runner: Runner) -> None:
        """Change the Runner."""
        self.after_run(runner)  # which is not called after a run that failed
        for name in LOADS:
            setattr(runner, name, _within(safe_loading, getattr(runner, name)))
        runner.save_checkpoint = _within(atomic_saving, runner.save_checkpoint)
        # Config turns other assignments into entries of the config.
        object.__setattr__(runner.cfg, '__class__', RememberedTextConfig)

    def after_run(self, runner: Runner) -> None:
        """Give the Runner its own methods back."""
        for name in CHANGED:
            vars(runner).pop(name, None)


def _within(
    context: Callable[[], AbstractContextManager], function: Callable
) -> Callable:
    """Return a function that runs another inside a context."""

    @wraps(function)
    def run(*args, **kwargs):
        with context():
            return function(*args, **kwargs)

    return run
