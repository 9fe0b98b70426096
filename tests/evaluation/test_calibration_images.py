import numpy as np
import pytest

from mmimbal.evaluation.calibration_images import checked_images, draw_one_of_each_group


def test_one_image_of_each_group_in_each_class_with_equal_chances():
    groups = np.array([0, 0, 0, 1, 1, 2])
    labels = np.array([0, 0, 1, 1, 1, 0])
    drawn = [draw_one_of_each_group(groups, labels, seed) for seed in range(2000)]
    times = np.bincount(np.concatenate(drawn), minlength=6) / 2000
    assert times == pytest.approx([0.5, 0.5, 1, 0.5, 0.5, 1], abs=0.05)
    assert times[[0, 1]].sum() == times[[3, 4]].sum() == 1
    first, third = (
        np.array([0 in d for d in drawn]),
        np.array([3 in d for d in drawn]),
    )
    assert np.mean(first & third) == pytest.approx(0.25, abs=0.05)
    assert (draw_one_of_each_group(groups, labels, 5) == drawn[5]).all()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(probabilities=np.full((2, 2), np.nan)), '2 of 2 images are not finite'),
        (dict(probabilities=np.full((2, 2), 0.6)), 'sum 1.2'),
        (dict(probabilities=np.array([[1.5, -0.5]] * 2)), 'minimum -0.5'),
        (dict(probabilities=np.full((2, 3), 1 / 3)), r'shape \(2, 3\)'),
        (dict(probabilities=np.empty((0, 2)), labels=[]), 'at least one image'),
        (dict(labels=[0, 2]), 'range from 0 to 2, but there are 2'),
        (dict(labels=[-1, 0]), 'range from -1 to 0'),
        (dict(labels=[0.0, 1.0]), 'integers .* float64'),
        (dict(labels=[[0, 1]]), r'integers of shape \(N,\), got int64 of shape \(1, 2'),
        (dict(classes=('a',)), r"two or more different classes, got \('a',\)"),
        (dict(classes=('a', 'a')), 'two or more different classes'),
    ],
)
def test_bad_images_are_told(change, message):
    images = dict(
        probabilities=np.eye(2, dtype=np.float32), labels=[0, 1], classes=('a', 'b')
    )
    probabilities, labels = checked_images(**images)
    assert probabilities.dtype == float and labels.dtype == int
    with pytest.raises(ValueError, match=message):
        checked_images(**(images | change))
