import pytest

from mmimbal.experiments.sweep_plan import check_metric


class Images:
    """Validation images without one of class c."""

    def __init__(self):
        self.metainfo = dict(classes=('a', 'b', 'c'))

    def __len__(self):
        return 3

    def get_gt_labels(self):
        return [0, 1, 1]


@pytest.mark.parametrize('metric', ['balanced_accuracy', 'macro_f1', 'recall/b'])
def test_metrics_of_validation_are_taken(metric):
    check_metric(metric, Images())


@pytest.mark.parametrize(
    ('metric', 'message'),
    [
        ('recall/c', '--metric recall/c: c has no validation image'),
        ('recall/d', '--metric recall/d is unknown; known are .*recall/a, recall/b'),
        ('auc', '--metric auc is unknown'),
    ],
)
def test_others_are_refused_with_the_reason(metric, message):
    with pytest.raises(ValueError, match=message):
        check_metric(metric, Images())
