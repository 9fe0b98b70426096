import pytest

from mmimbal.requirements import check_openmmlab, check_requirements, check_torch

ALL = ('mmengine', 'mmpretrain', 'mmcv')
FORK = [f'onedl-{name}' for name in ALL]


@pytest.mark.parametrize('version', ['2.6.0', '2.11.0+cu130', '2.15.0', '3.0.0a1'])
def test_recent_torch_passes(version):
    check_torch(version)


@pytest.mark.parametrize('version', ['2.5.1', '1.13.1+cpu'])
def test_old_torch_is_explained(version):
    with pytest.raises(ImportError, match=r'torch >= 2.6, found ' + version[:3]):
        check_torch(version)


@pytest.mark.parametrize(
    'installed', [['mmengine', 'mmpretrain'], ['mmengine', 'mmcv'], FORK]
)
def test_either_line_of_openmmlab_passes(installed):
    """Where mmcv comes from is not asked: mmcv-lite and mmcv are both mmcv."""
    check_openmmlab(ALL, installed)


@pytest.mark.parametrize(
    ('importable', 'installed', 'message'),
    [
        (
            (),
            (),
            r'mmengine, mmpretrain, mmcv cannot be .*\[openmmlab,lite\].*\[onedl\]',
        ),
        (ALL[:2], ALL[:2], r'mmcv-lite.*mmimbal\[lite\]'),
        (ALL[:2], FORK[:2], r'mmcv cannot be imported.*\[onedl\]'),
        (ALL, [*ALL, 'onedl-mmengine'], r'onedl-mmengine are both installed'),
    ],
)
def test_what_to_install_is_said(importable, installed, message):
    with pytest.raises(ImportError, match=message):
        check_openmmlab(importable, installed)


def test_this_environment_is_fine():
    check_requirements()
