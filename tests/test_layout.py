"""The folders of mmimbal build on each other in one direction, and stay small."""

import ast
import re
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


# What is done in parts gives the same as at once: the tests that have several parts.
IN_PARTS = {
    'datasets/checking/duplicates.py': 'datasets/checking/test_check.py',
    'datasets/image_cache.py': 'datasets/test_image_cache.py',
    'datasets/samplers/class_balanced.py': 'datasets/samplers/test_class_balanced.py',
    'datasets/samplers/pk_batch.py': 'datasets/samplers/test_pk_batch.py',
    'evaluation/calibration.py': 'evaluation/test_calibration.py',
    'evaluation/retrieval.py': 'evaluation/test_retrieval.py',
    'inference/neighbours.py': 'inference/test_neighbours.py',
    'models/losses/triplet_sums.py': 'models/losses/test_batch_all_triplet.py',
}


def test_what_is_done_in_parts_is_tested_with_several_parts():
    names = re.compile(r'^(AT_ONCE|BATCH|BLOCK|CHUNK) = ', re.MULTILINE)
    found = {
        str(file.relative_to(PACKAGE))
        for file in FILES
        if names.search(file.read_text())
    }
    assert found - {'datasets/sources/archive.py'} == set(IN_PARTS)  # bytes of a file
    for file, test in IN_PARTS.items():
        (name,) = set(names.findall((PACKAGE / file).read_text()))
        assert re.search(rf'\b{name}\b|\bchunk\b', (ROOT / 'tests' / test).read_text())
