import json
from dataclasses import replace

import pytest

from mmimbal.stage2.sweep_result import (
    STAGE1,
    SweepResult,
    SweepRow,
    best_first,
    predictions_file,
    report_text,
)


def scores(value):
    return dict(balanced_accuracy=value, macro_f1=value / 2, **{'recall/a': value})


def row(method, *values):
    seeds = [
        dict(seed=n, val=v and scores(v), test=v and scores(v + 1))
        for n, v in enumerate(values)
    ]
    return SweepRow(method, {'lr': 0.1}, 'lr 0.1', seeds)


@pytest.fixture
def result():
    rows = best_first([row('crt', 50.0, 60.0), row('lws', 70.0, None)], 'macro_f1')
    about = dict(stage1='best.pth', batch_norm='frozen', device='CPU', views=4)
    about |= dict(number_of_seeds=2, metric='macro_f1', seconds={}, failed={'vs': 'x'})
    return SweepResult(**about, rows=rows)


def test_it_is_read_as_it_was_written(result, tmp_path):
    result.write(tmp_path)
    assert SweepResult.read(tmp_path) == result


def test_files_of_an_earlier_release_are_named(result, tmp_path):
    result.write(tmp_path)
    content = json.loads((tmp_path / 'sweep.json').read_text())
    content['left_out'] = content.pop('failed')
    (tmp_path / 'sweep.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'sweep\.json was written by another release'):
        SweepResult.read(tmp_path)


def test_rows_are_sorted_by_validation_and_say_how_many_seeds_they_are_of(result):
    assert [each.method for each in result.rows] == ['lws', 'crt']
    lines = result.table(('a',), 'test').splitlines()
    expected = 'lws lr 0.1 70.0 (1 of 2) 71.0 (1 of 2) 35.5 (1 of 2) 71 (1 of 2)'
    assert ' '.join(lines[2].split()) == expected
    assert '55.0 ± 7.1' in lines[3] and '56.0 ± 7.1' in lines[3]
    text = report_text(result, ('a',), 'test', was_held_back=False)
    assert '\nNot trained: vs. x\n' in text and 'validation images are the same' in text
    assert 'images are the same' not in report_text(result, ('a',), 'test', True)
    text = report_text(replace(result, notes=['lws: no.']), ('a',), 'test', True)
    assert text.endswith('\nlws: no.\n')


def test_predictions_of_stage_1_have_a_name_of_their_own(tmp_path):
    assert (
        predictions_file(tmp_path, 'crt', 2) == tmp_path / 'predictions/crt_seed2.npz'
    )
    assert predictions_file(tmp_path, STAGE1) == tmp_path / 'predictions/stage1.npz'
    assert SweepRow(STAGE1, {}, '', []).is_stage1 and not row('crt').is_stage1
