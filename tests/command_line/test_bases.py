import pytest
from mmengine.config import Config

from mmimbal.command_line.bases import bases_of_profile, load_with_bases
from tests.conftest import CONFIGS

LEAVES = sorted(CONFIGS.glob('isic/stage1_*_64px.py'))
# Bases without a leaf, and those whose leaf reads the same names.
ALIKE = dict(
    ce_mixed='supcon_balanced', triplet_balanced='supcon_balanced', supcon_memory='ce'
)


def test_every_method_has_a_leaf_or_one_like_it():
    methods = {path.stem for path in (CONFIGS / '_base_/stage1').glob('*.py')}
    named = {leaf.stem.removeprefix('stage1_')[: -len('_64px')] for leaf in LEAVES}
    assert methods - named == set(ALIKE)
    for name, like in ALIKE.items():
        leaf = str(CONFIGS / f'isic/stage1_{like}_64px.py')
        mixed = load_with_bases(leaf, [f'stage1/{like}=stage1/{name}'])
        head = Config.fromfile(CONFIGS / f'_base_/stage1/{name}.py').head
        assert mixed.model.head == dict(head, num_classes=7, in_channels=256)


@pytest.mark.parametrize('leaf', LEAVES, ids=lambda path: path.stem)
def test_a_leaf_with_other_bases_is_the_leaf_one_would_write(leaf):
    """Each leaf of isic on the data of rbc12."""
    dataset = 'datasets/isic2018_64px=datasets/rbc12_64px'
    mixed, original = load_with_bases(leaf, [dataset]), Config.fromfile(leaf)
    rbc12 = Config.fromfile(CONFIGS / '_base_/datasets/rbc12_64px.py')
    assert mixed.train_dataloader.dataset.data_root.endswith('rbc12')
    assert mixed.val_dataloader == rbc12.val_dataloader
    assert mixed.model.head.num_classes == 12
    mixed.model.head.num_classes = 7
    assert mixed.model == original.model
    assert mixed.optim_wrapper == original.optim_wrapper


def test_several_bases(tmp_path):
    leaf = str(CONFIGS / 'rbc12/stage1_triplet_64px.py')
    mixed = load_with_bases(
        leaf, ['stage1/triplet=stage1/circle', 'schedules/scratch_40e=schedules/digits']
    )
    assert mixed.model.head.metric_loss.type == 'mmimbal.CircleLoss'
    assert mixed.train_cfg.max_epochs == 60
    written = CONFIGS / 'rbc12/stage1_triplet_64px.py'
    assert 'circle' not in written.read_text()


LARGE = [
    path
    for path in sorted(CONFIGS.glob('*/stage1_ce.py'))
    if '_224px' in path.read_text()
]


@pytest.mark.parametrize('leaf', LARGE, ids=lambda path: path.parent.name)
def test_the_small_profile_of_every_large_leaf(leaf):
    bases = bases_of_profile(str(leaf), '64px')
    assert len(bases) == 3
    mixed, large = load_with_bases(str(leaf), bases), Config.fromfile(leaf)
    small = Config.fromfile(CONFIGS / 'isic/stage1_ce_64px.py')
    assert mixed.model.backbone == small.model.backbone
    assert mixed.optim_wrapper == small.optim_wrapper
    assert mixed.model.head.num_classes == large.model.head.num_classes
    data_roots = {cfg.train_dataloader.dataset.data_root for cfg in (mixed, large)}
    assert len(data_roots) == 1
    sizes = [step.get('scale') for step in mixed.train_dataloader.dataset.pipeline]
    assert 64 in sizes and 224 not in sizes


def test_a_leaf_without_anything_large_has_no_small_profile():
    with pytest.raises(ValueError, match='--profile 64px replaces no base of'):
        bases_of_profile(str(CONFIGS / 'isic/stage1_ce_64px.py'), '64px')


@pytest.mark.parametrize(
    ('replacement', 'error', 'message'),
    [
        ('stage1/ce=stage1/circle', ValueError, 'OLD is one of datasets/isic2018_64px'),
        ('stage1/triplet', ValueError, 'expected OLD=NEW'),
        ('stage1/triplet=stage1/triplet_pk', ValueError, 'sets batch_sampler, which'),
        ('stage1/triplet=stage1/supcon', ValueError, 'sets views, which'),
        ('stage1/triplet=stage1/cirle', FileNotFoundError, 'there are arcface, bcl'),
    ],
)
def test_mistakes_are_named(replacement, error, message):
    with pytest.raises(error, match=message):
        load_with_bases(str(CONFIGS / 'isic/stage1_triplet_64px.py'), [replacement])


@pytest.mark.parametrize(
    ('leaf', 'replacement', 'message'),
    [
        ('stage1_supcon', 'stage1/supcon=stage1/triplet', 'triplet sets no views'),
        ('stage1_triplet_pk', 'stage1/triplet_pk=stage1/ce', 'sets no batch_sampler'),
        (
            'one_stage_balanced_softmax',
            'stage2/balanced_softmax=stage2/nearest_mean',
            'sets stage2_head, stage2_train_cfg, which|sets stage2_train_cfg, which',
        ),
    ],
)
def test_what_a_leaf_needs_is_named(leaf, replacement, message):
    with pytest.raises(ValueError, match=message):
        load_with_bases(str(CONFIGS / f'isic/{leaf}_64px.py'), [replacement])


def test_a_single_run_keeps_the_head_of_stage_1():
    """Another head, loss or loop of stage 2 would be left out without a word."""
    leaf = str(CONFIGS / 'digits_lt/two_stage_triplet_crt.py')
    for method in ('balanced_softmax', 'lws', 'tau_norm'):
        with pytest.raises(ValueError, match=r'sets stage2_head, .* does not use'):
            load_with_bases(leaf, [f'stage2/crt=stage2/{method}'])


def test_missing_leaf_is_named():
    with pytest.raises(FileNotFoundError, match=r'no config configs/missing\.py'):
        load_with_bases('configs/missing.py', ['a=b'])


def test_leaves_may_be_written_otherwise(tmp_path):
    """Double quotes, and two bases on a line."""
    leaf = tmp_path / 'data' / 'leaf.py'
    for path, text in (
        ('_base_/a.py', 'value = 1'),
        ('_base_/b.py', 'value = 2'),
        ('_base_/c.py', 'value = 3\nval = 4'),
        ('_base_/d.py', 'other = 1'),
        (
            'data/leaf.py',
            '_base_ = ["../_base_/a.py", "../_base_/d.py"]\nx = _base_.value',
        ),
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    assert load_with_bases(str(leaf), ['a=b']).x == 2
    with pytest.raises(ValueError, match=r'c sets val, which leaf\.py does not use'):
        load_with_bases(str(leaf), ['a=c'])
