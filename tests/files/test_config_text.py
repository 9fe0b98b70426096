import pytest
from mmengine.config import Config

from mmimbal.files.config_text import CachedTextConfig, read_config


def test_a_config_is_formatted_again_only_if_it_has_changed(monkeypatch):
    formatted, text = [], Config.pretty_text.fget

    def counted(cfg):
        formatted.append(cfg)
        return text(cfg)

    monkeypatch.setattr(Config, 'pretty_text', property(counted))
    cfg = CachedTextConfig(dict(lr=0.1, model=dict(type='ResNet')))
    first = cfg.pretty_text
    assert cfg.pretty_text == first and len(formatted) == 1
    assert first == text(Config(dict(lr=0.1, model=dict(type='ResNet'))))
    cfg.model.type = 'VGG'
    assert cfg.pretty_text == first.replace('ResNet', 'VGG') and len(formatted) == 2
    cfg.model.type = 'ResNet'
    assert cfg.pretty_text == first


@pytest.mark.parametrize(('value', 'usual'), [('', 'x'), (None, '')])
def test_a_missing_variable_of_the_environment_is_named(
    tmp_path, monkeypatch, value, usual
):
    monkeypatch.delenv('SOMEWHERE', raising=False)
    if value is not None:
        monkeypatch.setenv('SOMEWHERE', value)
    file = tmp_path / 'config.py'
    file.write_text(f"data_root = '{{{{$SOMEWHERE:{usual}}}}}'\n")
    with pytest.raises(ValueError, match=r'config\.py: .*SOMEWHERE'):
        read_config(file)
