import numpy as np
import pytest

from mmimbal.experiments.page import write_page
from mmimbal.experiments.rows import read_rows, read_runs
from mmimbal.files.json_file import read_json, write_json
from tests.example_results import METRIC, change_results
from tests.experiments.markdown_tables import bounds, tables


def test_table_of_means_the_best_first(results, page):
    first = tables(page)[2]
    assert first[2][0] == 'triplet + crt \\*'
    assert first[-1][0] == 'ce'
    assert 'Experiments: 24 of 24; 12 on CPU; 12 on a GPU' in page.read_text()
    assert '\n\nKnown beforehand.\n\n' in page.read_text()
    rows = read_rows(read_runs(results / 'study'), METRIC)['one']
    values = rows['ce'].values('test', 'balanced_accuracy')
    assert len(values) == 4
    expected = f'{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}'
    assert first[-1][2] == expected


def test_methods_of_stage_1_have_one_stage_2_for_all_data_sets(results, page):
    table = tables(page)[1]
    assert table[0][1:5] == [
        'one: balanced accuracy',
        'one: macro F1',
        'one: mean of stage 2',
        'one: runs',
    ]
    names = [row[0] for row in table[2:]]
    assert names[0] == 'triplet + crt \\*' and set(names[1:]) == {
        'supcon + crt \\*',
        'ce + crt',
    }
    rows = read_rows(read_runs(results / 'study'), METRIC)['two']
    values = rows['triplet + crt'].values('test', 'macro_f1')
    expected = f'{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}'
    mean = f'{rows["triplet + crt"].mean("test", "balanced_accuracy"):.1f}'
    assert table[2][6:] == [expected, mean, '4']  # its own classifier is no stage 2


def test_a_way_of_stage_2_that_diverged_is_in_no_mean(results, tmp_path):
    """Neither as a number nor for the methods in which it did not."""

    def leave_test_out(result):
        for row in result['rows']:
            del row['test'], row['predicted']

    def add_way(result):
        (crt,) = (row for row in result['rows'] if row['stage2'] == 'crt')
        val = {} if result['method'] == 'ce' else crt['val']
        result['rows'].append(dict(stage2='tau', val=val))

    about = results / 'study' / 'grid.json'
    write_json(read_json(about) | dict(judged_on='val'), about)
    change_results(results / 'study', leave_test_out)
    before = tmp_path / 'before.md'
    write_page(results / 'study', before, resamples=20)
    change_results(results / 'study', add_way)
    write_page(results / 'study', tmp_path / 'results.md', resamples=20)
    means = [
        {row[0].split(' ')[0]: row[3] for row in tables(page)[0][2:]}
        for page in (before, tmp_path / 'results.md')
    ]
    assert means[0] == means[1]


def test_methods_of_stage_1_are_shown_by_the_folds_that_all_have(results, tmp_path):
    for file in (results / 'study' / 'runs').glob('*_fold1_*'):
        if '_ce_' not in file.name:
            file.unlink()
    write_page(results / 'study', tmp_path / 'results.md', resamples=20)
    table = tables(tmp_path / 'results.md')[1]
    assert {row[4] for row in table[2:]} == {row[8] for row in table[2:]} == {'2'}


def test_the_mean_of_stage_2_is_over_what_all_methods_have(results, tmp_path):
    def add(result):
        if result['method'] == 'ce':
            row = next(row for row in result['rows'] if row['stage2'] == 'crt')
            bad = dict(row['test'], balanced_accuracy=0.0)
            bad = row | dict(stage2='bad', test=bad, val=dict(balanced_accuracy=0.0))
            result['rows'].append(bad)

    before = tmp_path / 'before.md'
    write_page(results / 'study', before, resamples=20)
    change_results(results / 'study', add)
    write_page(results / 'study', tmp_path / 'results.md', resamples=20)
    assert tables(tmp_path / 'results.md')[1] == tables(before)[1]


def test_paired_differences_are_to_the_best_row_without_metric_learning(page):
    text = page.read_text()
    assert text.count('400 test images, from 2 folds together.') == 2
    assert text.count('95% intervals are from 200 paired resamples') == 2
    best = 'Best row on test without metric learning: **ce + crt**, of 2 such rows.'
    assert text.count(best) == 2
    rows = {row[0]: row for row in tables(page)[3][2:]}
    gain, low, _ = bounds(rows['triplet + crt \\*'][2])
    assert 15 < gain < 35 and low > 0
    _, low, high = bounds(rows['supcon + crt \\*'][2])
    assert low < 0 < high
    assert rows['ce + crt'][2] == '-'


def test_runs_that_have_nothing_of_a_split_do_not_count(results, tmp_path):
    def diverge(result):
        for row in result['rows']:
            if result['seed'] == 1 and row['stage2'] == 'crt':
                row.update(val=None, test=None)

    change_results(results / 'study', diverge)
    page = tmp_path / 'results.md'
    write_page(results / 'study', page, resamples=20)
    counts = {
        row[0]: row[-1] for table in tables(page) for row in table if len(row) == 8
    }
    assert counts['ce + crt'] == '2 of 4' and counts['ce'] == '4'


def test_mean_ranks(results, page):
    table = tables(page)[-1][2:]
    last = {name: list(map(float, values)) for name, *values in table}
    assert last['triplet + crt \\*'][0] == 1.0 and last['ce'][0] == 5.0
    assert 2 <= last['ce + crt'][0] <= 3
    runs = read_runs(results / 'study')
    rows = [row for run in runs for row in run['rows'] if run['method'] == 'triplet']
    rows = [row for row in rows if row['stage2'] == 'crt']
    for column, metric in enumerate(('balanced_accuracy', 'macro_f1'), 1):
        expected = np.mean([row['test'][metric] for row in rows])
        assert last['triplet + crt \\*'][column] == pytest.approx(expected, abs=0.051)


def test_ranks_are_of_the_mean_of_seeds(results, tmp_path):
    """A method with seeds of its own is ranked beside those with one."""
    for file in (results / 'study' / 'runs').glob('*_seed1.json'):
        if 'triplet' not in file.name:
            file.unlink()
    write_page(results / 'study', tmp_path / 'results.md', resamples=20)
    ranks = {row[0] for row in tables(tmp_path / 'results.md')[-1][2:]}
    marked = {f'{name} \\*' for name in ('triplet', 'triplet + crt', 'supcon + crt')}
    assert ranks == {'ce', 'ce + crt', *marked}
    assert ' of 4 |' not in (tmp_path / 'results.md').read_text()


def test_rows_with_a_run_that_diverged_are_not_ranked(results, tmp_path):
    def diverge(result):
        if (result['method'], result['fold'], result['seed']) == ('triplet', 0, 1):
            for row in result['rows']:
                row['test'] = {}

    change_results(results / 'study', diverge)
    write_page(results / 'study', tmp_path / 'results.md', resamples=20)
    ranked = tables(tmp_path / 'results.md')[-1][2:]
    assert {row[0] for row in ranked} == {'ce', 'ce + crt', 'supcon + crt \\*'}


def test_methods_on_other_devices_are_named(results, tmp_path):
    def move(result):
        result['device'] = 'CPU'
        if result['method'] == 'ce' and result['fold'] == 0:
            result['device'] = 'NVIDIA X'

    change_results(results / 'study', move)
    write_page(results / 'study', tmp_path / 'results.md', resamples=20)
    text = (tmp_path / 'results.md').read_text()
    assert text.count('Runs on NVIDIA X: ce (2 of 4 runs); all others on CPU.') == 2


def test_few_seeds_are_said(page):
    text = page.read_text()
    assert (
        text.count('smears), and of seeds where both rows have several in common.') == 2
    )
    assert text.count('With 2 seeds they are too narrow') == 2
