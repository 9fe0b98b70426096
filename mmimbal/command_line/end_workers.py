"""End the processes of loaders before Python does."""

from mmengine.runner import Runner
from torch.utils.data import DataLoader


def end_workers(runner: Runner) -> None:
    """End the workers that wait for a next epoch (``persistent_workers=True``).

    At its end Python would kill them. Each would then leave a folder, ``pymp-*``, among
    the temporary files of the system.
    """
    for loop in (runner._train_loop, runner._val_loop, runner._test_loop):
        loader = getattr(loop, 'dataloader', None)
        if isinstance(loader, DataLoader):
            loader._iterator = None
