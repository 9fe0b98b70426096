import numpy as np
import pytest

from mmimbal.datasets import DigitsLT, get_class_counts


def test_counts_fall_by_a_constant_factor():
    counts = get_class_counts(DigitsLT('train', ratio=50))
    assert counts[0] == 104
    assert counts[0] / counts[-1] == pytest.approx(50, rel=0.05)
    expected = [104 * 50 ** (-label / 9) for label in range(10)]
    assert np.abs(counts - expected).max() <= 0.5


def test_evaluation_splits_are_balanced():
    assert get_class_counts(DigitsLT('val')).tolist() == [20] * 10
    assert get_class_counts(DigitsLT('test')).tolist() == [50] * 10


def test_deterministic_and_no_image_is_shared():
    images = {
        split: [item['img'] for item in DigitsLT(split, ratio=1)]
        for split in ('train', 'val', 'test')
    }
    again = [item['img'] for item in DigitsLT('train', ratio=1)]
    assert np.array_equal(images['train'], again)
    rows = sum((len(split) for split in images.values()), 0)
    assert rows == (104 + 20 + 50) * 10
    assert images['train'][0].shape == (8, 8, 3)
    assert images['train'][0].dtype == np.uint8


@pytest.mark.parametrize('ratio', [0.5, 1000])
def test_impossible_ratio_is_an_error(ratio):
    with pytest.raises(ValueError, match=f'ratio={ratio}'):
        DigitsLT('train', ratio=ratio)


def test_unknown_split_is_an_error():
    with pytest.raises(ValueError, match="no split 'training'"):
        DigitsLT('training')
