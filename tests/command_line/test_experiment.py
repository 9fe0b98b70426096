import pytest

from mmimbal.command_line.experiment import Experiment, parse_experiment, words_of


@pytest.mark.parametrize(
    ('name', 'words', 'file_name'),
    [
        ('isic2018/64px/bcl', ('isic2018', '64px', 'bcl'), 'stage1_bcl_64px'),
        (
            'isic2018/224px/triplet/crt',
            ('isic2018', '224px', 'triplet', 'crt'),
            'stage2_crt',
        ),
        ('rbc12/64px/bcl/vs', ('rbc12', '64px', 'bcl', 'vs'), 'stage2_bcl_vs_64px'),
        (
            'rbc12/64px/none/vs',
            ('rbc12', '64px', None, 'vs'),
            'one_stage_vs_64px',
        ),
        (
            'digits_lt/digits/triplet+crt',
            ('digits_lt', 'digits', 'triplet', 'crt', True),
            'two_stage_triplet_crt',
        ),
    ],
)
def test_a_name_is_four_words(name, words, file_name):
    experiment = parse_experiment(name)
    assert experiment == Experiment(*words)
    assert str(experiment) == name and experiment.file_name == file_name


def test_every_pair_of_a_stage_2_has_a_file_name_of_its_own():
    names = {
        Experiment('isic2018', '64px', stage1, stage2).file_name
        for stage1 in words_of('stage1')
        for stage2 in (None, *words_of('stage2'))
    }
    assert len(names) == len(words_of('stage1')) * (1 + len(words_of('stage2')))


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('isic2018/64px/tripelt', r'no tripelt in stage1. Did you mean triplet'),
        ('isic2018/64px/Triplet', r'no Triplet in stage1. Did you mean triplet'),
        ('isic2018/64px/crt', r'crt is in stage2: words are DATASET/PROFILE/STAGE1'),
        ('isic/64px/triplet', r'no isic in datasets. Did you mean isic20'),
        ('isic2018/65px/triplet', r'no 65px in profiles. .*Known are .*224px'),
        ('isic2018/64px/triplet/qqq', r'no qqq in stage2. Known are balanced_softmax'),
        ('isic2018/64px', 'neither a config file nor DATASET/PROFILE/STAGE1'),
        ('isic2018//triplet', 'neither a config file nor'),
        ('isic2018/64px/none+crt', 'For one stage, write isic2018/64px/none/crt$'),
        ('isic2018/64px/none', 'name a method of stage 1 or of stage 2'),
        ('digits_lt/64px/triplet', 'not for images of digits_lt; use digits'),
        ('isic2018/digits/triplet', 'not for images of isic2018'),
        (
            'isic2018/64px/none/tau_norm',
            r'separate run: isic2018/64px/triplet/tau_norm$',
        ),
        ('isic2018/64px/bcl+tau_norm', r'separate run: isic2018/64px/bcl/tau_norm$'),
        ('isic2018/64px/bcl+lws', r'has others. .*: isic2018/64px/bcl/lws$'),
        ('isic2018/64px/bcl+vs', 'keeps the head and the loss of stage 1'),
        ('isic2018/64px/ce+crt', 'ce has no metric loss that stage 2 could leave out'),
        ('isic2018/64px/bcl+crt', 'LogitAdjustmentLoss of bcl would rebalance in'),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(name, message):
    with pytest.raises(ValueError, match=message):
        parse_experiment(name)


def test_words_are_replaced_within_their_group():
    experiment = parse_experiment('isic2018/224px/triplet/crt')
    bases = ['stage1/triplet=stage1/bcl', 'profiles/224px=profiles/64px']
    assert str(experiment.with_bases(bases)) == 'isic2018/64px/bcl/crt'
    for wrong in (
        'stage1/ce=stage1/bcl',
        'stage1/triplet',
        'stage1/triplet=stage2/crt',
        'stage1/triplet=bcl',
    ):
        with pytest.raises(ValueError, match=r'expected OLD=NEW.*stage2/crt'):
            experiment.with_bases([wrong])
