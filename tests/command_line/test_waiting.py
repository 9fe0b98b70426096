"""Threads wait briefly on a busy machine, if the user says nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmimbal.command_line.waiting import TURNS, wait_briefly

PROGRAM = """
import os
os.getloadavg = lambda: (float(os.cpu_count()), 0, 0)
from mmimbal.command_line.waiting import wait_briefly
wait_briefly()
import torch
"""


@pytest.fixture
def environment(monkeypatch):
    for name in ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, 'getloadavg', lambda: (float(os.cpu_count()), 0, 0))
    return monkeypatch


@pytest.mark.skipif(
    not [*Path(torch.__file__).parent.glob('lib/libgomp*')],
    reason='about the libgomp that torch brings',
)
def test_the_threads_of_torch_have_it(environment):
    shown = subprocess.run(
        [sys.executable, '-c', PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | dict(OMP_DISPLAY_ENV='verbose'),
    )
    assert f"GOMP_SPINCOUNT = '{TURNS}'" in shown.stderr


def test_what_the_user_has_set_stays(environment):
    environment.setenv('OMP_WAIT_POLICY', 'active')
    wait_briefly()
    assert 'GOMP_SPINCOUNT' not in os.environ
    environment.delenv('OMP_WAIT_POLICY')
    environment.setenv('GOMP_SPINCOUNT', '7')
    wait_briefly()
    assert os.environ['GOMP_SPINCOUNT'] == '7'


def test_on_an_idle_machine_nothing_is_set(environment):
    environment.setattr(os, 'getloadavg', lambda: (0.5 * os.cpu_count(), 9e9, 9e9))
    wait_briefly()
    environment.delattr(os, 'getloadavg')  # as on Windows
    wait_briefly()
    assert 'GOMP_SPINCOUNT' not in os.environ
