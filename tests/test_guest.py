"""In somebody's project, mmimbal changes nothing beside what it is asked for."""

import ast
import json
import pkgutil

import mmimbal
from tests.conftest import ROOT
from tests.tools import succeed

# What a host sees of its process. Children of registries, and MODULE2PACKAGE, are
# where mmimbal has to say that it is there.
STATE = """
import importlib, os, signal, sys, warnings

def state():
    from mmengine.config.utils import MODULE2PACKAGE
    from mmengine.fileio.backends import registry_utils
    from mmengine.runner.checkpoint import CheckpointLoader
    import torch
    found = {
        'backends': dict(registry_utils.backends),
        'prefixes': dict(registry_utils.prefix_to_backends),
        'loaders': dict(CheckpointLoader._schemes),
        'safe globals': set(torch.serialization.get_safe_globals()),
        'packages': {k: v for k, v in MODULE2PACKAGE.items() if k != 'mmimbal'},
        'signals': {s: signal.getsignal(s) for s in signal.valid_signals()},
        'filters': list(warnings.filters),
        'environment': dict(os.environ),
        'threads': torch.get_num_threads(),
        'default dtype': torch.get_default_dtype(),
    }
    for name, module in list(sys.modules.items()):
        if name.split('.')[0] in ('mmengine', 'mmpretrain', 'mmcv', 'torch'):
            for key, value in list(vars(module).items()):
                found[name, key] = id(value)
    return found

def import_all(names):
    for name in names:
        importlib.import_module(name)

def changed(before, after):
    for key, value in before.items():
        if after[key] != value:
            yield str(key)
"""

BUILD = """
from mmengine.registry import (DATASETS, DATA_SAMPLERS, HOOKS, METRICS, MODELS)
import_all(THIRD_PARTY)
before = state()
MODELS.build(dict(type='mmimbal.TripletMarginLoss'))
digits = DATASETS.build(dict(type='mmimbal.DigitsLT', split='train'))
DATA_SAMPLERS.build(
    dict(type='mmimbal.ClassBalancedSampler'), default_args=dict(dataset=digits, seed=0)
)
HOOKS.build(dict(type='mmimbal.SafeCheckpointHook'))
METRICS.build(dict(type='mmimbal.ImbalanceMetric'))
print('changed:', *changed(before, state()))
"""

IMPORT = """
import_all(THIRD_PARTY)
before = state()
import_all(OURS)
print('changed:', *changed(before, state()))
"""


def imported_from_others() -> list[str]:
    """Return the modules of others that mmimbal imports anywhere."""
    found = set()
    for file in (ROOT / 'mmimbal').rglob('*.py'):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module)
    return sorted(
        name
        for name in found
        if name.split('.')[0] not in {'mmimbal', 'medmnist', 'umap', 'setuptools'}
    )


def run_fresh(script: str, tmp_path) -> list[str]:
    """Run a script in an interpreter of its own; return the lines it prints."""
    names = [
        module.name
        for module in pkgutil.walk_packages(mmimbal.__path__, 'mmimbal.')
        if '.mim' not in module.name
    ]
    lists = f'THIRD_PARTY = {imported_from_others()}\nOURS = {names}\n'
    file = tmp_path / 'host.py'
    file.write_text(STATE + lists + script)
    return succeed(file).splitlines()


def test_building_a_component_changes_nothing(tmp_path):
    assert 'changed:' in run_fresh(BUILD, tmp_path)


def test_importing_every_module_changes_nothing(tmp_path):
    assert 'changed:' in run_fresh(IMPORT, tmp_path)


def test_the_comparison_would_see_a_change(tmp_path):
    """Each of the ways in which mmimbal once rearranged its host."""
    changes = """
from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner.checkpoint import CheckpointLoader
from mmengine.config import config
import torch
import_all(THIRD_PARTY)
before = state()
register_backend('local', type('Mine', (LocalBackend,), {}), force=True, prefixes='')
CheckpointLoader.register_scheme('s3://', print, force=True)
torch.serialization.add_safe_globals([print])
config.re = None
os.environ['MINE'] = '1'
signal.signal(signal.SIGTERM, print)
warnings.simplefilter('ignore')
import json
print(json.dumps(sorted(changed(before, state()))))
"""
    lines = run_fresh(changes, tmp_path)
    found = json.loads(next(line for line in lines if line.startswith('["')))
    assert {
        'backends',
        'prefixes',
        'loaders',
        'safe globals',
        'signals',
        'filters',
        'environment',
        "('mmengine.config.config', 're')",
    } <= set(found)
