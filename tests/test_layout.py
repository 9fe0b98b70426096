"""The folders of mmimbal build on each other in one direction, and stay small."""

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

# From below to above: a folder imports from those before it alone.
LAYERS = (
    'registry',
    'files',
    'datasets',
    'models',
    'evaluation',
    'stage2',
    'engine',
    'inference',
    'visualization',
    'command_line',
    'experiments',
)
PACKAGE = ROOT / 'mmimbal'
FILES = [file for file in PACKAGE.rglob('*.py') if '.mim' not in file.parts]
MAX_LINES = 250
MAX_SHARE = 0.3


def imports_of(file: Path) -> set[str]:
    """Return the folders of mmimbal that a file imports from."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or '').startswith(
            'mmimbal.'
        ):
            names.add(node.module.split('.')[1])
    return names


def lines_of(file: Path) -> int:
    return len(file.read_text().splitlines())


@pytest.mark.parametrize('layer', LAYERS[1:])
def test_a_folder_imports_from_those_below_alone(layer):
    below = LAYERS[: LAYERS.index(layer) + 1]
    for file in (PACKAGE / layer).rglob('*.py'):
        assert imports_of(file) <= {*below, 'version'}, file


def test_every_folder_has_its_layer():
    folders = {
        file.relative_to(PACKAGE).parts[0] for file in FILES if file.parent != PACKAGE
    }
    assert folders == set(LAYERS) - {'registry'}


def test_no_folder_outgrows_the_others():
    total = sum(map(lines_of, FILES))
    for layer in LAYERS[1:]:
        share = sum(map(lines_of, (PACKAGE / layer).rglob('*.py'))) / total
        assert share <= MAX_SHARE, layer


def test_files_are_small():
    tools = (ROOT / 'tools').glob('*.py')
    large = {file.name: lines_of(file) for file in (*FILES, *tools)}
    assert {name: size for name, size in large.items() if size > MAX_LINES} == {}
