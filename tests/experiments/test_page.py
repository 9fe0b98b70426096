import json
import re

import numpy as np
import pytest
from PIL import Image

from mmimbal.experiments.page import write_page
from mmimbal.experiments.results import pack, unpack
from mmimbal.experiments.rows import read_rows, read_runs
from mmimbal.files.json_file import write_json
from tests.example_results import METRIC, SIZE, change_results, write_results


@pytest.fixture
def results(tmp_path):
    write_results(tmp_path / 'results' / 'study')
    return tmp_path / 'results'


def tables(page):
    """Return the tables of a page: lists of rows of cells."""
    found, rows = [], []
    for line in page.read_text().splitlines():
        if line.startswith('|'):
            rows.append([cell.strip() for cell in line.strip('|').split('|')])
        elif rows:
            found.append(rows)
            rows = []
    return [*found, rows] if rows else found


@pytest.fixture
def page(results, tmp_path):
    write_page(results, tmp_path / 'docs' / 'results.md', resamples=200)
    return tmp_path / 'docs' / 'results.md'


def bounds(cell):
    """Return a value and its interval; a gain is bold if that does not hold 0."""
    value, low, high = map(float, re.findall(r'-?[\d.]+', cell))
    sure = cell.startswith(('+', '-', '*')) and not low < 0 < high
    assert cell.startswith('**') == cell.endswith('**') == sure
    return value, low, high


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


def test_the_headline_sets_the_recipe_of_validation_beside_the_best_without(page):
    headline = tables(page)[0][2:]
    assert [row[:2] for row in headline] == [
        [dataset, name]
        for dataset in ('one', 'two')
        for name in ('triplet + crt \\*', 'ce + crt')
    ]
    for recipe, rival in (headline[:2], headline[2:]):
        assert recipe[3] == recipe[5] == '-'
        for value, gain in ((2, 3), (4, 5)):
            measured, low, high = bounds(rival[gain])
            assert 15 < low < measured < high < 35
            difference = bounds(recipe[value])[0] - bounds(rival[value])[0]
            assert measured == pytest.approx(difference, abs=0.11)
    with Image.open(page.with_name('results_study.png')) as picture:
        assert len(np.unique(picture.convert('L'))) > 20  # something is drawn
    assert '(results_study.png)' in page.read_text()


def test_the_headline_has_both_rivals_where_validation_and_test_differ(
    results, tmp_path
):
    def judge(result):
        for row in result['rows']:
            if result['method'] == 'ce':
                row['val'] = dict(balanced_accuracy=50 - 10 * (row['stage2'] == 'crt'))

    change_results(results / 'study', judge)
    write_page(results, tmp_path / 'results.md', resamples=20)
    headline = tables(tmp_path / 'results.md')[0][2:]
    names = ['triplet + crt \\*', 'ce', 'ce + crt']
    assert [row[1] for row in headline] == names * 2


def test_without_metric_learning_there_is_no_headline(results, tmp_path):
    for file in (results / 'study' / 'runs').iterdir():
        if 'ce' not in file.name:
            file.unlink()
    write_page(results, tmp_path / 'results.md', resamples=20)
    text = (tmp_path / 'results.md').read_text()
    assert 'Experiments: 8 of 24' in text and 'With and without' not in text
    assert not list(tmp_path.glob('*.png'))


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


def test_a_grid_without_results_says_so(results, tmp_path):
    for run in (results / 'study' / 'runs').iterdir():
        run.unlink()
    write_page(results, tmp_path / 'results.md')
    assert 'Experiments: 0 of 24\n' in (tmp_path / 'results.md').read_text()


def test_paired_differences_are_to_the_best_row_without_metric_learning(page):
    text = page.read_text()
    assert text.count('400 test images, those of 2 folds pooled') == 2
    assert text.count('95% intervals from 200 resamples') == 2
    assert text.count('Best row without metric learning: **ce + crt**') == 2
    rows = {row[0]: row for row in tables(page)[3][2:]}
    gain, low, _ = bounds(rows['triplet + crt \\*'][2])
    assert 15 < gain < 35 and low > 0
    _, low, high = bounds(rows['supcon + crt \\*'][2])
    assert low < 0 < high
    assert rows['ce + crt'][2] == '-'


def test_rows_that_lack_runs_say_so_and_are_not_compared(results, tmp_path):
    for seed in (0, 1):
        (results / f'study/runs/one_fold1_triplet_seed{seed}.json').unlink()
    write_page(results, tmp_path / 'results.md', resamples=20)
    text = (tmp_path / 'results.md').read_text()
    line = 'Rows left out, since runs are missing or have diverged: triplet (2).'
    assert text.count(line) == 1
    first, second, *_, last = tables(tmp_path / 'results.md')[2:]
    assert [r[-1] for r in first if r[0].startswith('triplet')] == ['2 of 4'] * 2
    assert not any(row[0].startswith('triplet') for row in second)
    assert not any(row[0].startswith('triplet') for row in last)


def test_results_of_methods_that_the_grid_has_no_more_are_not_read(results, tmp_path):
    """A metric loss that was renamed must not become a rival without one."""
    file = results / 'study' / 'grid.json'
    about = json.loads(file.read_text())
    about['experiments'] = [n for n in about['experiments'] if 'triplet' not in n]
    write_json(about | dict(metric=['supcon']), file)
    write_page(results, tmp_path / 'results.md', resamples=20)
    text = (tmp_path / 'results.md').read_text()
    assert 'Experiments: 16 of 16; 8 on CPU; 8 on a GPU' in text
    assert (
        'Not read, since the grid has them no more: one_fold0_triplet_seed0, ' in text
    )
    assert 'triplet + crt' not in text


def test_methods_of_stage_1_are_shown_by_the_folds_that_all_have(results, tmp_path):
    for file in (results / 'study' / 'runs').glob('*_fold1_*'):
        if '_ce_' not in file.name:
            file.unlink()
    write_page(results, tmp_path / 'results.md', resamples=20)
    table = tables(tmp_path / 'results.md')[1]
    assert {row[4] for row in table[2:]} == {row[8] for row in table[2:]} == {'2'}


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


def test_a_grid_judged_on_validation_shows_nothing_of_test(results, tmp_path):
    file = results / 'study' / 'grid.json'
    write_json(json.loads(file.read_text()) | dict(judged_on='val'), file)

    def leave_test_out(result):
        for row in result['rows']:
            del row['test'], row['predicted']

    change_results(results / 'study', leave_test_out)
    write_page(results, tmp_path / 'results.md')
    text = (tmp_path / 'results.md').read_text()
    assert [row[0] for row in tables(tmp_path / 'results.md')[0][2:]] == [
        'triplet + crt \\*',
        'supcon + crt \\*',
        'ce + crt',
    ]
    assert '(test)' not in text and 'paired' not in text


def test_without_results_it_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match='no results in'):
        write_page(tmp_path, tmp_path / 'results.md')


def test_ranks_are_of_the_mean_of_seeds(results, tmp_path):
    """A method with seeds of its own is ranked beside those with one."""
    for file in (results / 'study' / 'runs').glob('*_seed1.json'):
        if 'triplet' not in file.name:
            file.unlink()
    write_page(results, tmp_path / 'results.md', resamples=20)
    ranks = {row[0] for row in tables(tmp_path / 'results.md')[-1][2:]}
    marked = {f'{name} \\*' for name in ('triplet', 'triplet + crt', 'supcon + crt')}
    assert ranks == {'ce', 'ce + crt', *marked}
    assert ' of 4 |' not in (tmp_path / 'results.md').read_text()


def test_the_mean_of_stage_2_is_over_what_all_methods_have(results, tmp_path):
    def add(result):
        if result['method'] == 'ce':
            row = next(row for row in result['rows'] if row['stage2'] == 'crt')
            bad = dict(row['test'], balanced_accuracy=0.0)
            bad = row | dict(stage2='bad', test=bad, val=dict(balanced_accuracy=0.0))
            result['rows'].append(bad)

    before = tmp_path / 'before.md'
    write_page(results, before, resamples=20)
    change_results(results / 'study', add)
    write_page(results, tmp_path / 'results.md', resamples=20)
    assert tables(tmp_path / 'results.md')[1] == tables(before)[1]


def test_few_groups_are_no_evidence(results, tmp_path):
    page = tmp_path / 'results.md'
    write_page(results, page, resamples=20)
    assert 'Fewer than' not in page.read_text()
    for file in (results / 'study' / 'images').iterdir():
        one = dict(groups=pack(np.zeros(SIZE, int)))
        write_json(json.loads(file.read_text()) | one, file)
    write_page(results, page, resamples=20)
    text = page.read_text()
    assert text.count('Fewer than 10 groups') == 4  # headline and tables
    assert '**+' not in text and '**-' not in text


def test_a_class_of_few_groups_is_named(results, tmp_path):
    """Of 2 folds x 100 groups, those with class c become 2 x 3."""
    for file in (results / 'study' / 'images').iterdir():
        images = json.loads(file.read_text())
        rare = unpack(images['labels']) == 2
        groups = np.where(rare, np.arange(SIZE) % 3, 10 + unpack(images['groups']))
        write_json(images | dict(groups=pack(groups)), file)
    page = tmp_path / 'results.md'
    write_page(results, page, resamples=20)
    said = 'one: Classes of fewer than 10 groups: c 6. Intervals of means over classes'
    assert said in page.read_text() and '**+' not in page.read_text()


def test_runs_that_have_nothing_of_a_split_do_not_count(results, tmp_path):
    def diverge(result):
        for row in result['rows']:
            if result['seed'] == 1 and row['stage2'] == 'crt':
                row.update(val=None, test=None)

    change_results(results / 'study', diverge)
    page = tmp_path / 'results.md'
    write_page(results, page, resamples=20)
    counts = {
        row[0]: row[-1] for table in tables(page) for row in table if len(row) == 8
    }
    assert counts['ce + crt'] == '2 of 4' and counts['ce'] == '4'


def test_a_cut_result_is_named(results, tmp_path):
    file = next((results / 'study' / 'runs').iterdir())
    file.write_text(file.read_text()[:-40])
    with pytest.raises(ValueError, match=rf'{file.name} is no whole JSON file'):
        write_page(results, tmp_path / 'results.md')
