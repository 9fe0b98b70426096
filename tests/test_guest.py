"""In somebody's project, mmimbal changes nothing beside what it is asked for."""

import ast
import json
import pkgutil

import pytest

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
MODELS.build(dict(type='mmimbal.TripletMarginLoss'))
digits = DATASETS.build(dict(type='mmimbal.DigitsLT', split='train'))
DATA_SAMPLERS.build(
    dict(type='mmimbal.ClassBalancedSampler'), default_args=dict(dataset=digits, seed=0)
)
HOOKS.build(dict(type='mmimbal.SafeCheckpointHook'))
METRICS.build(dict(type='mmimbal.ImbalanceMetric'))
"""

IMPORT = 'import_all(OURS)'

REARRANGE = """
from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner.checkpoint import CheckpointLoader
from mmengine.config import config
import torch
register_backend('local', type('Mine', (LocalBackend,), {}), force=True, prefixes='')
CheckpointLoader.register_scheme('s3://', print, force=True)
torch.serialization.add_safe_globals([print])
config.re = None
os.environ['MINE'] = '1'
signal.signal(signal.SIGTERM, print)
warnings.simplefilter('ignore')
"""

# A child prints what its script has changed, and ends without its own end.
RUN = """
import json
import_all(THIRD_PARTY)
sys.stdout.flush()
for name, script in SCRIPTS.items():
    child = os.fork()
    if not child:
        before = state()
        exec(script)
        print(json.dumps([name, sorted(changed(before, state()))]), flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f'{name} failed')
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


@pytest.fixture(scope='module')
def changes(tmp_path_factory) -> dict[str, list[str]]:
    """Return what each script changes in an interpreter that has imported the rest.

    The interpreter is a new one; each script runs in a fork of it.
    """
    names = [
        module.name
        for module in pkgutil.walk_packages(mmimbal.__path__, 'mmimbal.')
        if '.mim' not in module.name and module.name != 'mmimbal.__main__'
    ]
    lists = f'THIRD_PARTY = {imported_from_others()}\nOURS = {names}\n'
    scripts = dict(building=BUILD, importing=IMPORT, rearranging=REARRANGE)
    file = tmp_path_factory.mktemp('host') / 'host.py'
    file.write_text(f'{STATE}{lists}SCRIPTS = {scripts}\n{RUN}')
    lines = succeed(file).splitlines()
    return dict(json.loads(line) for line in lines if line.startswith('["'))


def test_building_a_component_changes_nothing(changes):
    assert changes['building'] == []


def test_importing_every_module_changes_nothing(changes):
    assert changes['importing'] == []


def test_the_comparison_would_see_a_change(changes):
    """Each of the ways in which mmimbal once rearranged its host."""
    assert {
        'backends',
        'prefixes',
        'loaders',
        'safe globals',
        'signals',
        'filters',
        'environment',
        "('mmengine.config.config', 're')",
    } <= set(changes['rearranging'])
