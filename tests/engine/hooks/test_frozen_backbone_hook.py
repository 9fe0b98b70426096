import pytest
from mmengine.hooks import Hook
from torch import nn

from mmimbal.command_line.compose import compose
from mmimbal.command_line.experiment import parse_experiment
from mmimbal.stage2.freezing import freeze_features
from tests.conftest import TINY, train


class Begin(Hook):
    """Keep the weights of the beginning."""

    priority = 'VERY_LOW'

    def before_train(self, runner):
        state = runner.model.state_dict()
        self.weights = {key: value.clone() for key, value in state.items()}


def test_only_the_head_is_trained(tmp_path):
    cfg = compose(parse_experiment('digits_lt/digits/frozen'), work_dir=str(tmp_path))
    cfg.merge_from_dict(TINY)
    cfg.experiment_name = '_'.join(tmp_path.parts[1:])
    begin = Begin()
    trained = train(cfg, begin).model.state_dict()
    changed = {key for key in trained if not trained[key].equal(begin.weights[key])}
    assert changed == {'head.fc.weight', 'head.fc.bias'}


def test_a_model_without_a_backbone_is_refused():
    """Such as a TimmClassifier: nothing would be frozen."""
    with pytest.raises(ValueError, match='Linear has no backbone and no head'):
        freeze_features(nn.Linear(2, 2), update_bn=False)
