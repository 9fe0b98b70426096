import cv2
import numpy as np
import pytest

from mmimbal.visualization import draw_recall_by_count


@pytest.mark.parametrize('runs', [1, 3])
def test_picture_has_something_in_it(tmp_path, runs):
    path = tmp_path / 'picture.png'
    recalls = {
        'baseline': np.full((runs, 3), [90.0, 20, 50]),
        'ours': np.full((runs, 3), [85.0, 60, 70]),
    }
    draw_recall_by_count(recalls, [500, 10, 50], ['a', 'b', 'c']).savefig(path)
    pixels = cv2.imread(str(path))
    assert pixels.shape[0] > 300 and pixels.std() > 5
