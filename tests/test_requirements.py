import pytest

from mmimbal.requirements import check_mmcv, check_requirements, check_torch


@pytest.mark.parametrize('version', ['2.6.0', '2.11.0+cu130', '2.15.0', '3.0.0a1'])
def test_recent_torch_passes(version):
    check_torch(version)


@pytest.mark.parametrize('version', ['2.5.1', '1.13.1+cpu'])
def test_old_torch_is_explained(version):
    with pytest.raises(ImportError, match=r'torch >= 2.6, found ' + version[:3]):
        check_torch(version)


def test_missing_mmcv_is_explained():
    with pytest.raises(ImportError, match=r'mmimbal\[lite\]'):
        check_mmcv(is_installed=False)


def test_this_environment_is_fine():
    check_requirements()
