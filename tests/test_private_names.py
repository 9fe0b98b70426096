"""What mmimbal uses of others without their promise is listed, and still there."""

import ast
from importlib import import_module

import pytest
from mmengine.runner import Runner

from mmimbal.private_names import PRIVATE_NAMES
from tests.conftest import ROOT, tiny_digits

ALL = [(owner, name) for owner, names in PRIVATE_NAMES.items() for name in names]


def resolve(path: str):
    """Return a module, or a class in one."""
    try:
        return import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition('.')
        return getattr(resolve(module), name)


@pytest.fixture(scope='module')
def instances(tmp_path_factory) -> dict:
    """Return objects by class: some of their attributes are set by ``__init__``."""
    runner = Runner.from_cfg(tiny_digits('stage1_ce', tmp_path_factory.mktemp('run')))
    dataset, sliced = (
        runner.train_dataloader.dataset,
        import_module('mmengine.runner.runner')._SlicedDataset(range(3), 2),
    )
    optim_wrapper = runner.build_optim_wrapper(runner.cfg.optim_wrapper)
    objects = (
        runner,
        runner.build_train_loop(runner.cfg.train_cfg),
        runner.cfg,
        dataset,
        sliced,
        optim_wrapper,
        runner.model.data_preprocessor,
        runner.model.head,
        runner.train_dataloader,
    )
    return {cls: each for each in objects for cls in type(each).__mro__}


@pytest.mark.parametrize(('owner', 'name'), ALL, ids=str)
def test_a_private_name_is_still_there(owner, name, instances):
    found = resolve(owner)
    found = instances.get(found, found) if isinstance(found, type) else found
    assert hasattr(found, name), (
        f'{owner} of this release has no {name}: mmimbal uses it, see '
        'mmimbal/private_names.py'
    )


def test_every_private_name_in_use_is_listed():
    """Attributes of others that begin with _, and imports of such names."""
    listed = {name for _, name in ALL}
    used = set()
    for file in (ROOT / 'mmimbal').rglob('*.py'):
        tree = ast.parse(file.read_text())
        own = {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }
        own |= {
            target.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Attribute)
            and isinstance(target.value, ast.Name)
            and target.value.id == 'self'
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                names = [node.attr]
            elif isinstance(node, ast.ImportFrom):
                module = node.module or ''
                names = [n.name for n in node.names if not module.startswith('mmimbal')]
            else:
                continue
            used |= {
                name
                for name in names
                if name.startswith('_')
                and not name.startswith('__')
                and name not in own
            }
    assert used <= listed
