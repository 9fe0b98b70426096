from mmimbal.command_line.compose import compose
from mmimbal.command_line.experiment import parse_experiment
from mmimbal.experiments.progress import share_of_training


def test_the_share_is_of_the_epochs_of_the_training_itself(tmp_path):
    """The config names the epochs of a stage 2 too."""
    assert share_of_training(tmp_path / 'none') == 0
    cfg = compose(parse_experiment('isic2018/64px/none/balanced_softmax'))
    assert cfg.stage2_train_cfg.max_epochs < cfg.train_cfg.max_epochs == 40
    cfg.dump(tmp_path / 'config.py')
    assert share_of_training(tmp_path) == 0
    (tmp_path / 'last_checkpoint').write_text('work/epoch_30.pth')
    assert share_of_training(tmp_path) == 30 / 40
    (tmp_path / 'last_checkpoint').write_text('work/iter_30.pth')
    assert share_of_training(tmp_path) == 0
