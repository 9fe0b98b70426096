from mmengine.config import Config
from mmengine.config import config as mmengine_config
from yapf.yapflib import yapf_api

from mmimbal.engine import config_text


def test_a_config_is_formatted_again_only_if_it_has_changed(monkeypatch):
    formatted = []

    def counted(text, **options):
        formatted.append(text)
        return yapf_api.FormatCode(text, **options)

    monkeypatch.setattr(mmengine_config, 'FormatCode', counted)
    monkeypatch.setattr(config_text, '_formatted', {})
    config_text.format_configs_once()
    config_text.format_configs_once()

    cfg = Config(dict(lr=0.1, model=dict(type='ResNet')))
    first = cfg.pretty_text
    assert cfg.pretty_text == first and len(formatted) == 1
    cfg.lr = 0.2
    assert cfg.pretty_text == first.replace('0.1', '0.2') and len(formatted) == 2
    cfg.lr = 0.1
    assert cfg.pretty_text == first
    monkeypatch.setattr(mmengine_config, 'FormatCode', yapf_api.FormatCode)
    assert cfg.pretty_text == first
