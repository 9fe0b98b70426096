"""Jobs on a cluster, with stand-ins for the commands of Slurm that run all here."""

import argparse
import sys
from pathlib import Path

import pytest
import submitit  # noqa: F401 - closes the log files of this process, so at once

from mmimbal.command_line.flags import add_executor_flags
from mmimbal.experiments.executors import build_executor
from mmimbal.experiments.jobs import run_jobs
from mmimbal.experiments.local_executor import LocalExecutor
from mmimbal.experiments.slurm_executor import _problem
from tests.experiments.example_jobs import CommandJob

COMMANDS = {
    # Keeps the script, and runs it in the background.
    'sbatch': """
number=$(($(ls "$SLURM_FAKE" | grep -c script) + 1))
cp "$1" "$SLURM_FAKE/script$number"
export SLURM_JOB_ID=$number SLURM_JOBID=$number SLURM_NTASKS=1 SLURM_PROCID=0
export SLURM_LOCALID=0 SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0 SLURM_JOB_NODELIST=here
(bash "$SLURM_FAKE/script$number"; touch "$SLURM_FAKE/done$number") > /dev/null 2>&1 &
echo "Submitted batch job $number"
""",
    'srun': """
while [[ $1 == --* ]]; do [[ $1 == *=* || $1 == --unbuffered ]] || shift; shift; done
exec "$@"
""",
    'sacct': """
echo 'JobID|State|NodeList'
for script in "$SLURM_FAKE"/script*; do
    n=${script##*script}
    [ -e "$SLURM_FAKE/done$n" ] && state=COMPLETED || state=RUNNING
    echo "$n|$state|here"
done
""",
    'scancel': 'echo "$@" >> "$SLURM_FAKE/cancelled"',
}


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Return the folder of scripts that were submitted."""
    tools, kept = tmp_path / 'bin', tmp_path / 'slurm'
    tools.mkdir()
    kept.mkdir()
    for name, text in COMMANDS.items():
        (tools / name).write_text(f'#!/bin/bash\n{text.strip()}\n')
        (tools / name).chmod(0o755)
    monkeypatch.setenv('PATH', f'{tools}:/usr/bin:/bin')
    monkeypatch.setenv('SLURM_FAKE', str(kept))
    return kept


def executor_of(folder: Path, *flags: str):
    parser = argparse.ArgumentParser()
    add_executor_flags(parser)
    return build_executor(parser.parse_args(flags), folder)


def test_jobs_run_on_the_cluster_with_its_options(slurm, tmp_path):
    options = ('partition=gpu', 'time=60', 'gpus_per_node=1')
    flags = ('--cluster', 'slurm', '--cluster-options', *options)
    executor = executor_of(tmp_path / 'work', *flags)
    code = f"open('{tmp_path}/made', 'w').write('here')"
    jobs = [
        CommandJob('fine', tmp_path, ['-c', code]),
        CommandJob('wrong', tmp_path, ['-c', "raise ValueError('not this way')"]),
    ]
    failed = run_jobs(jobs, executor, 'Jobs')
    assert (tmp_path / 'made').read_text() == 'here'
    assert failed.keys() == {'wrong'}
    assert failed['wrong'].startswith('ValueError: not this way (see ')
    script = (slurm / 'script1').read_text()
    for line in ('partition=gpu', 'time=60', 'gpus-per-node=1', 'job-name=mmimbal'):
        assert f'#SBATCH --{line}\n' in script
    assert sys.executable in script


def test_what_stops_the_runner_cancels_the_jobs(slurm, tmp_path):
    executor = executor_of(tmp_path / 'work', '--cluster', 'slurm')
    executor.start(CommandJob('job', tmp_path, ['-c', 'pass']))
    executor.stop()
    assert (slurm / 'cancelled').read_text() == '1\n'
    assert executor.poll() == []


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (['--cluster-options', 'time=1'], 'needs --cluster slurm'),
        (['--cluster', 'slurm', '--workers', '2'], 'cannot be combined with --cluster'),
    ],
)
def test_flags_that_do_not_go_together(tmp_path, flags, message):
    with pytest.raises(ValueError, match=message):
        executor_of(tmp_path, *flags)


def test_an_unknown_option_is_named(slurm, tmp_path):
    flags = ('--cluster', 'slurm', '--cluster-options', 'partitoin=gpu')
    with pytest.raises(ValueError, match='partitoin'):
        executor_of(tmp_path / 'work', *flags)


def test_without_a_cluster_jobs_run_here(tmp_path):
    assert isinstance(executor_of(tmp_path), LocalExecutor)


def test_an_error_without_a_text_has_the_name_of_its_class():
    class Submitted:
        paths = argparse.Namespace(stderr='log')

        def result(self):
            raise KeyError

    assert _problem(Submitted()) == 'KeyError (see log)'
