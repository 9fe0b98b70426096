"""The machine that a benchmark ran on."""

import os
import platform
import re
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from mmimbal.engine.amp import has_bf16
from mmimbal.version import __version__

CPU_INFO = Path('/proc/cpuinfo')
DISTRIBUTIONS = (
    'torch',
    'numpy',
    'mmengine',
    'mmpretrain',
    'pytorch-metric-learning',
)


def describe_machine() -> dict:
    """Return the device, the CPU, and the versions that a benchmark depends on."""
    on_gpu = torch.cuda.is_available()
    return dict(
        device=torch.cuda.get_device_name() if on_gpu else cpu_model(),
        gpu=on_gpu,
        cpu=cpu_model(),
        cores=os.cpu_count(),
        threads=torch.get_num_threads(),
        bf16=has_bf16(),
        versions=dict(
            python=platform.python_version(),
            mmimbal=__version__,
            **{name: version_of(name) for name in DISTRIBUTIONS},
        ),
    )


def version_of(name: str) -> str:
    """Return the version of a package, or of the maintained fork of OpenMMLab."""
    try:
        return version(name)
    except PackageNotFoundError:
        return f'{version(f"onedl-{name}")} (onedl)'


def cpu_model() -> str:
    """Return the model of the CPU, or its architecture if Linux does not say."""
    with suppress(OSError):
        model = re.search(r'^model name\s*:\s*(.+)$', CPU_INFO.read_text(), re.M)
        if model:
            return model[1].strip()
    return platform.machine()


def title_of(machine: dict) -> str:
    """Return the name of a machine: its GPU, or its cores, with or without bf16."""
    if machine['gpu']:
        return machine['device']
    bf16 = 'with' if machine['bf16'] else 'without'
    return f'{machine["cores"]} cores of {machine["device"]}, {bf16} bf16'


def name_of(machine: dict) -> str:
    """Return a folder name for the results of a machine."""
    return re.sub(r'\W+', '_', title_of(machine).lower()).strip('_')
