"""The wheel, installed away from the checkout, is all that a user needs."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.tools import OPTIONS

pytestmark = pytest.mark.slow


def run(*command, cwd: Path) -> str:
    """Run a command that succeeds; return what it prints."""
    result = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]
    return result.stdout + result.stderr


@pytest.fixture(scope='module')
def python(tmp_path_factory) -> Path:
    """Return the Python of an environment with the wheel in it.

    It finds other packages where this Python has them, but not this checkout.
    """
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'  # building leaves folders behind
    ignored = shutil.ignore_patterns('.*', 'build', 'data', 'work_dirs', '*.egg-info')
    shutil.copytree(ROOT, source, symlinks=True, ignore=ignored)
    shutil.copytree(ROOT / 'mmimbal/.mim', source / 'mmimbal/.mim', symlinks=True)
    build = ('-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '-q')
    run(sys.executable, *build, '-w', folder, source, cwd=folder)
    (wheel,) = folder.glob('mmimbal-*.whl')
    run(sys.executable, '-m', 'venv', folder / 'env', cwd=folder)
    python = folder / 'env' / 'bin' / 'python'
    run(python, '-m', 'pip', 'install', '--no-deps', '-q', wheel, cwd=folder)
    (site,) = (folder / 'env' / 'lib').glob('*/site-packages')
    (site / 'others.pth').write_text(sysconfig.get_paths()['purelib'] + '\n')
    return python


def test_configs_are_inherited_from_the_wheel(python, tmp_path):
    leaf = tmp_path / 'mine.py'
    leaf.write_text("_base_ = 'mmimbal::digits_lt/stage1_triplet.py'\n")
    code = (
        'import mmimbal; from mmengine.config import Config; '
        'from mmengine.runner import Runner; print(mmimbal.__file__); '
        "cfg = Config.fromfile('mine.py'); cfg.train_cfg.max_epochs = 1; "
        "cfg.work_dir = 'work'; Runner.from_cfg(cfg).train()"
    )
    output = run(python, '-c', code, cwd=tmp_path)
    assert str(ROOT) not in output.splitlines()[0]
    assert (tmp_path / 'work' / 'epoch_1.pth').is_file()


def test_tools_and_configs_are_where_mim_looks_for_them(python, tmp_path):
    print_folder = 'import mmimbal; print(mmimbal.__path__[0])'
    package = Path(run(python, '-c', print_folder, cwd=tmp_path).splitlines()[-1])
    leaf = package / '.mim' / 'configs' / 'digits_lt' / 'stage1_triplet.py'
    tools = package / '.mim' / 'tools'
    run(
        *(python, '-m', 'mmimbal', 'train', leaf, '--work-dir', tmp_path / 'run'),
        *('--cfg-options', *OPTIONS),
        cwd=tmp_path,
    )
    assert (tmp_path / 'run' / 'epoch_1.pth').is_file()
    flags = ('--methods', 'crt', '--seeds', 1, '--views', 1)
    output = run(
        python, tools / 'stage2_sweep.py', tmp_path / 'run', *flags, cwd=tmp_path
    )
    assert 'crt' in output
