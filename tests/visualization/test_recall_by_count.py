from itertools import pairwise

import cv2
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

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


@pytest.mark.parametrize(
    ('size', 'start', 'most'),
    [
        *((size, 'a rather long name'[: 170 // size], size) for size in (7, 12, 30)),
        *((26, '', 4800), (16, '', 99_999)),  # counts are wider than names
    ],
)
def test_names_of_classes_do_not_meet(size, start, most):
    classes = [f'{start} {n}' for n in range(size)]
    recalls = {'one': np.full((1, size), 50.0)}
    figure = draw_recall_by_count(recalls, most - np.arange(size), classes)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    labels = figure.axes[0].get_xticklabels()
    boxes = [label.get_window_extent() for label in labels]
    if labels[0].get_rotation():  # then feet of lines of text: a line's height apart
        feet = np.array([box.x1 for box in boxes])
        height = labels[0].get_fontsize() * figure.dpi / 72
        assert np.diff(feet).min() > height / np.sin(np.pi / 4)
    else:
        assert all(a.x1 < b.x0 for a, b in pairwise(boxes))
