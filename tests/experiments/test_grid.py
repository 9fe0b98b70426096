import pytest

from mmimbal.experiments.grid import load_grid
from tests.conftest import ROOT

GRIDS = sorted((ROOT / 'configs' / 'grids').glob('*.py'))


@pytest.fixture
def write(tmp_path):
    def write(text):
        (tmp_path / 'grid.py').write_text(text)
        return tmp_path / 'grid.py'

    return write


GRID = """
datasets = dict(digits=dict(), other=dict(bases=['a=b'], options={'x.y': 1}))
folds = [0, 1]
seeds = [0, 1]
flags = ['--amp']
options = {'x.z': 2}
methods = dict(
    ce=dict(config='digits_lt/stage1_ce.py', stage2='all', options={'x.z': 3}),
    triplet=dict(
        config='digits_lt/stage1_triplet.py',
        bases=['c=d'],
        dataset_options=dict(other={'x.w': 4}),
        metric=True,
    ),
)
"""


def test_every_combination_once(write):
    grid = load_grid(write(GRID), ROOT)
    names = [one.name for one in grid.experiments]
    assert len(names) == len(set(names)) == 2 * 2 * 2 * 2
    assert names[0] == 'digits_fold0_ce_seed0'
    assert {name[-1] for name in names[:8]} == {'0'}  # seed 0 of all comes first
    assert grid.metric == ['triplet'] and grid.judged_on == 'test'


def test_a_method_may_have_seeds_of_its_own(write):
    grid = load_grid(write(GRID.replace('metric=True', 'metric=True, seeds=[2]')), ROOT)
    seeds = {(one.method, one.seed) for one in grid.experiments}
    assert seeds == {('ce', 0), ('ce', 1), ('triplet', 2)}


def test_commands_say_what_differs(write, tmp_path):
    grid = load_grid(write(GRID), ROOT)
    found = {one.name: one for one in grid.experiments}
    train = found['other_fold1_ce_seed1'].train(ROOT, tmp_path)
    assert train[1].endswith('configs/digits_lt/stage1_ce.py')
    assert train[2:4] == ['--base', 'a=b'] and '--amp' in train
    options = train[train.index('--cfg-options') + 1 :]
    assert {'x.y=1', 'x.z=3', 'randomness.seed=1'} < set(options)
    for split in ('train', 'val', 'test'):
        assert f'{split}_dataloader.dataset.split_column=fold1' in options
    assert '--resume' not in train
    (tmp_path / 'train').mkdir()
    (tmp_path / 'train' / 'last_checkpoint').touch()
    assert '--resume' in found['other_fold1_ce_seed1'].train(ROOT, tmp_path)

    compare = found['other_fold1_ce_seed1'].compare(ROOT, tmp_path, True, 3)
    assert compare[2:4] == ['--methods', 'all'] and '--predictions' in compare
    assert compare[compare.index('--processes') + 1] == '3'
    compare = found['other_fold1_triplet_seed1'].compare(ROOT, tmp_path, False, 1)
    assert compare[2:4] == ['--methods', '--seeds']
    assert '--validation-only' in compare and '--predictions' not in compare
    train = found['other_fold1_triplet_seed1'].train(ROOT, tmp_path)
    assert train[2:6] == ['--base', 'a=b', '--base', 'c=d']
    assert 'x.w=4' in train
    assert 'x.w=4' not in found['digits_fold1_triplet_seed1'].train(ROOT, tmp_path)


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('seeds = [0, 1]', '', 'missing: seeds'),
        ('flags', 'flag', 'unknown: flag'),
        ("stage2='all'", "stage_2='all'", r'method ce has .* unknown: stage_2'),
        ('bases=', 'base=', r'data set other has .* unknown: base'),
        (
            'dict(other={',
            'dict(others={',
            'dataset_options of others, but .* digits, other',
        ),
        ('stage1_ce.py', 'stage1_c.py', r'method ce: no config .*stage1_c\.py'),
        ('folds', "judged_on = 'train'\nfolds", "judged_on='train' must be 'val'"),
    ],
)
def test_mistakes_are_named(write, old, new, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_grid(write(GRID.replace(old, new)), ROOT)


def test_a_missing_grid_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no grid .*none\.py'):
        load_grid(tmp_path / 'none.py', ROOT)


@pytest.mark.parametrize('path', GRIDS, ids=lambda path: path.stem)
def test_grids_of_the_repository_load(path):
    assert load_grid(path, ROOT).experiments


def test_a_config_that_follows_a_stage_1_is_refused(write):
    """That stage 1 has seen test images of folds."""
    text = GRID.replace('digits_lt/stage1_ce.py', 'digits_lt/stage2_crt.py')
    with pytest.raises(ValueError, match=r'method ce: .*stage2_crt.py follows'):
        load_grid(write(text), ROOT)


@pytest.mark.parametrize('value', ['dict(y=1)', "'a,b'"])
@pytest.mark.parametrize(
    'old', ["{'x.z': 3}", "{'x.y': 1}", "{'x.z': 2}", "{'x.w': 4}"]
)
def test_options_that_a_command_line_would_garble_are_refused(write, old, value):
    with pytest.raises(ValueError, match='one value for a dotted key'):
        load_grid(write(GRID.replace(old, f"{{'x.z': {value}}}")), ROOT)
