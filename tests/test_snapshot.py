"""What a Runner reads of each config is what it has always been.

Who changes a config on purpose changes ``snapshots/runner_configs.json`` in the same
commit.
"""

import json
import re

import pytest
from mmengine.config import Config

from mmimbal.command_line.compose import compose
from mmimbal.command_line.experiment import Experiment
from mmimbal.command_line.options import RUNNER_KEYS
from tests.conftest import CONFIGS, ROOT

SNAPSHOT = json.loads((ROOT / 'tests/snapshots/runner_configs.json').read_text())
DATASETS = dict(isic='isic2018')  # of folders that are called otherwise


def flat(cfg: dict, prefix: str = '') -> dict:
    """Return a nested dict by dotted keys."""
    found = {}
    for key, value in cfg.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f'{prefix}{key}.')
        else:
            found[prefix + key] = value
    return found


def runner_config(cfg: Config) -> dict:
    """Return what a Runner reads of a config, as JSON knows it."""
    read = {key: value for key, value in cfg.to_dict().items() if key in RUNNER_KEYS}
    return json.loads(json.dumps(flat(read)))


def experiment_of(leaf: str) -> tuple[Experiment, str]:
    """Return the words of a leaf that may have no file any more, and its folder."""
    folder, name = leaf.removesuffix('.py').split('/')
    dataset = DATASETS.get(folder, folder)
    profile = 'digits' if dataset == 'digits_lt' else '224px'
    if name.endswith('_64px'):
        name, profile = name.removesuffix('_64px'), '64px'
    kind, method = re.fullmatch(
        '(stage1|stage2|two_stage|one_stage)_(.*)', name
    ).groups()
    words = dict(
        stage1=(method, None),
        stage2=('triplet', method),
        one_stage=(None, method),
        two_stage=tuple(method.split('_', 1)),
    )[kind]
    return Experiment(dataset, profile, *words, kind == 'two_stage'), folder


@pytest.mark.parametrize('leaf', SNAPSHOT['leaves'])
def test_a_config_is_as_it_was(leaf):
    kept = SNAPSHOT['leaves'][leaf]
    expected = {k: v for k, v in SNAPSHOT['common'].items() if k not in kept['lacks']}
    expected |= kept['differs']
    if (CONFIGS / leaf).is_file():
        cfg = Config.fromfile(CONFIGS / leaf)
    else:
        cfg = compose(*experiment_of(leaf))
    found = runner_config(cfg)
    assert {k: v for k, v in found.items() if expected.get(k, 'missing') != v} == {}
    assert found.keys() == expected.keys()


@pytest.mark.parametrize(
    'leaf', [leaf for leaf in SNAPSHOT['leaves'] if not leaf.startswith('examples')]
)
def test_the_words_of_a_config_give_the_same(leaf):
    if (CONFIGS / leaf).is_file():
        composed = compose(*experiment_of(leaf))
        written = Config.fromfile(CONFIGS / leaf)
        assert runner_config(composed) == runner_config(written)
