"""The scripts that start several processes, as a user calls them."""

import os
import sys
from pathlib import Path

import pytest

from mmimbal.evaluation.predictions import load_predictions
from tests.processes import free_port
from tests.tools import OPTIONS, fail, succeed

LEAF = 'configs/digits_lt/stage1_ce.py'


@pytest.mark.parametrize('script', ['dist_train', 'dist_test', 'slurm_train'])
def test_scripts_explain_themselves(script):
    assert f'tools/{script}.sh' in fail(f'tools/{script}.sh', 'CONFIG')


def test_slurm_script_starts_torchrun_on_each_node_and_two_ranks_test_alike(tmp_path):
    """With a stand-in for Slurm that runs the command, dist_train.sh, where it is."""
    (tmp_path / 'srun').write_text(
        '#!/bin/bash\nwhile [[ $1 == --* ]]; do echo "$1"; shift; done\nexec "$@"\n'
    )
    (tmp_path / 'scontrol').write_text('#!/bin/bash\necho 127.0.0.1\n')
    for tool in tmp_path.iterdir():
        tool.chmod(0o755)
    path = f'{tmp_path}:{Path(sys.executable).parent}:{os.environ["PATH"]}'
    env = dict(
        PATH=path,
        GPUS_PER_NODE='1',
        SLURM_NNODES='1',
        SLURM_NODEID='0',
        SLURM_JOB_ID=f'123{free_port(range(20000, 30000)) - 20000:04}',  # of the port
        SLURM_JOB_NODELIST='here',
    )
    run = tmp_path / 'run'
    flags = ['--work-dir', run, '--cfg-options', *OPTIONS]
    output = succeed('tools/slurm_train.sh', 'gpu', 'job', LEAF, *flags, env=env)
    assert '--partition=gpu' in output and '--gres=gpu:1' in output
    assert (run / 'epoch_1.pth').exists()

    files = [tmp_path / 'one.npz', tmp_path / 'two.npz']
    flags = ['--work-dir', tmp_path / 'test', '--cfg-options', *OPTIONS]
    succeed('tools/test.py', LEAF, run, '--out', files[0], *flags)
    env = dict(PORT=str(free_port()))
    command = ['tools/dist_test.sh', LEAF, run, 2, '--out', files[1], *flags]
    assert 'balanced_accuracy' in succeed(*command, env=env)
    one, two = map(load_predictions, files)
    assert two.files.tolist() == one.files.tolist() and two.embeddings is None
    assert two.scores == pytest.approx(one.scores, abs=1e-5)
