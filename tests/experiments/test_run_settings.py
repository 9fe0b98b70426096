import json
from pathlib import Path

import pytest

from mmimbal.experiments.run_settings import record_settings

SETTINGS = dict(config='a.py', options={'x.y': 0.5}, bases=('one=two',), path=Path('p'))


def test_the_same_settings_are_kept_once(tmp_path):
    record_settings(SETTINGS, tmp_path / 'new')
    file = tmp_path / 'new' / 'settings.json'
    assert json.loads(file.read_text()) == SETTINGS | dict(bases=['one=two'], path='p')
    content = file.read_text()
    record_settings(SETTINGS, tmp_path / 'new')
    assert file.read_text() == content


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            dict(options={'x.y': 1.0}),
            r'new was made .*: options.x.y was 0.5, now it is 1.0. R',
        ),
        (dict(options={}), 'options.x.y was 0.5, now it is missing'),
        (
            dict(options={'x.y': 0.5, 'z': None}),
            'options.z was missing, now it is None',
        ),
        (dict(options={'x.y': 0.5, 'z': {}}), 'options.z was missing, now it is {}'),
        (dict(bases=[]), r"bases was \['one=two'\], now it is \[\]"),
        (dict(config='b' * 200), r"config was 'a.py', now it is 'b{59}\.\.\."),
    ],
)
def test_other_settings_are_told(tmp_path, change, message):
    record_settings(SETTINGS, tmp_path / 'new')
    with pytest.raises(ValueError, match=message):
        record_settings(SETTINGS | change, tmp_path / 'new')


def test_the_folder_of_decoded_images_changes_no_result(tmp_path):
    def settings(cache):
        options = SETTINGS['options'] | {'val_dataloader.dataset.cache': cache}
        return SETTINGS | dict(options=options)

    record_settings(settings('decoded'), tmp_path / 'new')
    record_settings(settings('elsewhere'), tmp_path / 'new')
    record_settings(SETTINGS, tmp_path / 'new')


def test_a_hash_of_data_is_compared_where_both_have_one(tmp_path):
    before, now = SETTINGS | {'index.csv': 'aa'}, SETTINGS | {'index.csv': 'bb'}
    record_settings(before, tmp_path)
    record_settings(SETTINGS, tmp_path)  # the data are not on this machine
    with pytest.raises(ValueError, match=r"index\.csv was 'aa', now it is 'bb'"):
        record_settings(now, tmp_path)
    record_settings(SETTINGS, tmp_path / 'older')
    record_settings(now, tmp_path / 'older')
