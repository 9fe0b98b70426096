"""Freed memory is kept where malloc is that of glibc; elsewhere a line says so."""

import ctypes
import platform
import subprocess
import sys

import pytest

from mmimbal.command_line import memory

PROGRAM = """
import ctypes, sys
import torch
from mmimbal.command_line.memory import keep_memory

class Info(ctypes.Structure):  # struct mallinfo2 of glibc
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks",
        "uordblks", "fordblks", "keepcost")]

mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Info
if sys.argv[1] == "keep":
    keep_memory()
blocks = [torch.empty(1 << 24) for _ in range(20)]  # 64 MiB each, 1.25 GiB
mapped = mallinfo().hblkhd
del blocks
print(mapped >= 20 << 26, mallinfo().fordblks >= 20 << 26)
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != 'glibc' or not hasattr(ctypes.CDLL(None), 'mallinfo2'),
    reason='about malloc of glibc',
)
@pytest.mark.parametrize(
    ('word', 'expected'), [('keep', 'False True'), ('leave', 'True False')]
)
def test_freed_blocks_are_kept(word, expected):
    found = subprocess.run(
        [sys.executable, '-c', PROGRAM, word],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.splitlines()[-1] == expected


@pytest.mark.parametrize('system', ['darwin', 'win32', 'linux'])
def test_without_glibc_a_line_says_so(system, monkeypatch):
    """Of musl, too: it is Linux, without mallopt."""
    monkeypatch.setattr(sys, 'platform', system)
    monkeypatch.setattr(memory.ctypes, 'CDLL', lambda name: object())
    monkeypatch.setattr(memory.torch.cuda, 'is_available', lambda: False)
    said = []
    monkeypatch.setattr(memory, 'print_log', lambda line, logger: said.append(line))
    memory.keep_memory()
    assert said == [
        'Freed memory cannot be kept without glibc, so training on the CPU takes longer'
    ]
    monkeypatch.setattr(memory.torch.cuda, 'is_available', lambda: True)
    memory.keep_memory()
    assert len(said) == 1
