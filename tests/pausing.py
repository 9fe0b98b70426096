"""A training that waits, so that a test can stop it there."""

import os
import time

from mmengine.hooks import Hook

from mmimbal.registry import HOOKS


@HOOKS.register_module()
class PauseHook(Hook):
    """Wait for ever after as many epochs as ``$PAUSE_AFTER`` says, if it says so."""

    def before_train_epoch(self, runner):
        while str(runner.epoch) == os.environ.get('PAUSE_AFTER'):
            time.sleep(0.05)
