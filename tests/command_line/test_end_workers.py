"""A run leaves nothing among the temporary files of the system."""

import os
import subprocess
import sys

SCRIPT = """
import glob, os
from types import SimpleNamespace
import torch
from torch.utils.data import DataLoader
from mmimbal.command_line.end_workers import end_workers
options = dict(num_workers=2, persistent_workers=True)
loops = [
    SimpleNamespace(dataloader=DataLoader(torch.arange(9.0), 3, **options))
    for _ in range(2)
]
for loop in loops:
    list(loop.dataloader)
print(len(glob.glob(os.environ['TMPDIR'] + '/pymp-*')))
end_workers(SimpleNamespace(_train_loop=loops[0], _val_loop=loops[1], _test_loop=None))
"""


def test_workers_that_are_ended_leave_no_folder(tmp_path):
    """Each worker has one while it waits for the next epoch."""
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT],
        env=os.environ | dict(TMPDIR=str(tmp_path)),
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(done.stdout) == 4 and not list(tmp_path.glob('pymp-*'))
