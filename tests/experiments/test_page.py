import json
import re

import numpy as np
import pytest
from PIL import Image

from mmimbal.evaluation.bootstrap import FEW_GROUPS
from mmimbal.experiments.page import write_index, write_page
from mmimbal.experiments.results import pack, unpack
from mmimbal.files.json_file import write_json
from tests.example_results import SIZE, change_results
from tests.experiments.markdown_tables import bounds, tables


def test_the_headline_sets_the_recipe_of_validation_beside_the_best_without(page):
    headline = tables(page)[0][2:]
    assert [row[:2] for row in headline] == [
        [dataset, name]
        for dataset in ('one', 'two')
        for name in ('triplet + crt \\*', 'ce + crt')
    ]
    for recipe, rival in (headline[:2], headline[2:]):
        assert recipe[3] == recipe[4] == recipe[6] == recipe[7] == '-'
        for value, gain in ((2, 3), (5, 6)):
            measured, low, high = bounds(rival[gain])
            assert 15 < low < measured < high < 37
            difference = bounds(recipe[value])[0] - bounds(rival[value])[0]
            assert measured == pytest.approx(difference, abs=0.11)
    with Image.open(page.with_name('results.png')) as picture:
        assert len(np.unique(picture.convert('L'))) > 20  # something is drawn
    assert '(results.png)' in page.read_text()


def test_the_headline_has_both_rivals_where_validation_and_test_differ(
    results, tmp_path
):
    def judge(result):
        for row in result['rows']:
            if result['method'] == 'ce':
                row['val'] = dict(balanced_accuracy=50 - 10 * (row['stage2'] == 'crt'))

    change_results(results / 'study', judge)
    write_page(results / 'study', tmp_path / 'results.md', resamples=20)
    headline = tables(tmp_path / 'results.md')[0][2:]
    names = ['triplet + crt \\*', 'ce', 'ce + crt']
    assert [row[1] for row in headline] == names * 2


def test_without_metric_learning_there_is_no_headline(results, tmp_path):
    for file in (results / 'study' / 'runs').iterdir():
        if 'ce' not in file.name:
            file.unlink()
    write_page(results / 'study', tmp_path / 'results.md', resamples=20)
    text = (tmp_path / 'results.md').read_text()
    assert 'Experiments: 8 of 24' in text and 'With and without' not in text
    assert not list(tmp_path.glob('*.png'))


def test_a_grid_without_results_says_so(results, tmp_path):
    for run in (results / 'study' / 'runs').iterdir():
        run.unlink()
    write_page(results / 'study', tmp_path / 'results.md')
    assert 'Experiments: 0 of 24\n' in (tmp_path / 'results.md').read_text()


def test_how_the_page_is_written_and_whether_anything_was_searched(results, tmp_path):
    page = tmp_path / 'results.md'
    write_page(results / 'study', page, resamples=20)
    text = page.read_text()
    assert 'configs/grids/study.py --page-only`' in text
    assert 'of stage 2 are chosen on validation images.' in text
    grid = json.loads((results / 'study' / 'grid.json').read_text())
    write_json(dict(grid, search=False), results / 'study' / 'grid.json')
    write_page(results / 'study', page, resamples=20, command='my/g.py --page x.md')
    text = page.read_text()
    assert '`tools/benchmark.py my/g.py --page x.md --page-only`' in text
    assert 'of stage 2 are those of the configs.' in text


def test_rows_that_lack_runs_say_so_and_are_not_compared(results, tmp_path):
    for seed in (0, 1):
        (results / f'study/runs/one_fold1_triplet_seed{seed}.json').unlink()
    write_page(results / 'study', tmp_path / 'results.md', resamples=20)
    text = (tmp_path / 'results.md').read_text()
    line = 'because runs are missing or have diverged: triplet (2 rows).\n'
    assert text.count(line) == text.count('Rows that are not compared') == 1
    first, second, *_, last = tables(tmp_path / 'results.md')[2:]
    assert [r[-1] for r in first if r[0].startswith('triplet')] == ['2 of 4'] * 2
    assert not any(row[0].startswith('triplet') for row in second)
    assert not any(row[0].startswith('triplet') for row in last)


def test_a_seed_that_is_not_finished_changes_nothing_but_a_line(results, tmp_path):
    """All rows are chosen and compared with the seeds that are finished."""
    runs = results / 'study/runs'
    for file in runs.glob('*_seed1.json'):
        file.unlink()
    write_page(results / 'study', tmp_path / 'results.md', resamples=20)
    before = (tmp_path / 'results.md').read_text()
    second = json.loads((runs / 'one_fold0_triplet_seed0.json').read_text())
    write_json(second | dict(seed=1), runs / 'one_fold0_triplet_seed1.json')
    write_page(results / 'study', tmp_path / 'results.md', resamples=20)
    line = 'Seeds that are not shown, because they lack folds of another seed: '
    after = (tmp_path / 'results.md').read_text()
    assert f'{line}one, triplet, seed 1 (has fold 0).\n' in after
    kept = [each for each in after.split('\n\n') if not each.startswith(line)]
    for one, other in zip(before.split('\n\n'), kept, strict=True):
        assert one == other or 'Experiments: 12 of 24' in one


def test_results_that_the_grid_no_longer_contains_are_named_and_not_shown(
    results, tmp_path
):
    """A metric loss that was renamed must not become a rival without one."""
    file = results / 'study' / 'grid.json'
    about = json.loads(file.read_text())
    about['experiments'] = [n for n in about['experiments'] if 'triplet' not in n]
    write_json(about | dict(metric=['supcon']), file)
    write_page(results / 'study', tmp_path / 'results.md', resamples=20)
    text = (tmp_path / 'results.md').read_text()
    assert 'Experiments: 16 of 16; 8 on CPU; 8 on a GPU' in text
    names = [
        f'{d}_fold{f}_triplet_seed{s}'
        for d in ('one', 'two')
        for f in (0, 1)
        for s in (0, 1)
    ]
    line = 'because the grid no longer contains their experiments: '
    assert f'Results that are not shown, {line}{", ".join(names)}.\n' in text
    assert 'triplet + crt' not in text


def test_parts_of_the_page_are_separated_by_one_empty_line(results, tmp_path):
    """With every optional part: Markdown shows a table that touches text as text."""
    (results / 'study/runs/one_fold1_triplet_seed0.json').unlink()
    (results / 'study/runs/one_fold1_triplet_seed1.json').unlink()
    stranger = results / 'study/runs/old.json'
    stranger.write_bytes((results / 'study/runs/one_fold0_ce_seed0.json').read_bytes())
    for file in (results / 'study' / 'images').iterdir():
        one = dict(groups=pack(np.zeros(SIZE, int)))
        write_json(json.loads(file.read_text()) | one, file)
    write_page(results / 'study', tmp_path / 'results.md', resamples=20)
    text = (tmp_path / 'results.md').read_text()
    for part in ('Fewer than', 'Results that are not', 'Rows that are not', '![', '| '):
        assert f'\n{part}' in text
    assert text.startswith('# The study\n\nThis page') and text.endswith('</details>\n')
    assert '\n\n\n' not in text and not re.search(r'[ \t]$', text, re.MULTILINE)
    lines = text.splitlines()
    for before, line, after in zip(lines, lines[1:], lines[2:], strict=False):
        if line.startswith(
            ('#', '<', '!', 'Experiments:', 'Results that', 'Rows that')
        ):
            assert before == '' == after, line
        if line.startswith('|'):
            assert before.startswith('|') or before == ''
            assert after.startswith('|') or after == ''
        if line.startswith('|---'):
            assert before.startswith('| ') and after.startswith('| ')


@pytest.mark.parametrize('is_there', [False, True])
def test_a_grid_judged_on_validation_shows_nothing_of_test(results, tmp_path, is_there):
    """Nor if results have it, from a grid that was judged on test before."""
    file = results / 'study' / 'grid.json'
    write_json(json.loads(file.read_text()) | dict(judged_on='val'), file)

    def leave_test_out(result):
        for row in result['rows']:
            del row['test'], row['predicted']

    if not is_there:
        change_results(results / 'study', leave_test_out)
    write_page(results / 'study', tmp_path / 'results.md')
    text = (tmp_path / 'results.md').read_text()
    assert [row[0] for row in tables(tmp_path / 'results.md')[0][2:]] == [
        'triplet + crt \\*',
        'supcon + crt \\*',
        'ce + crt',
    ]
    assert '(test)' not in text and 'paired' not in text


def test_without_results_it_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'grid\.json'):
        write_page(tmp_path, tmp_path / 'results.md')


def test_the_index_lists_the_pages_of_all_grids(results, tmp_path):
    grid = json.loads((results / 'study' / 'grid.json').read_text())
    for name, split in (('alpha', 'val'), ('beta', 'test')):
        write_json(
            grid
            | dict(
                title=name,
                judged_on=split,
                datasets=['x_y'],
                experiments=['x_y_fold0_ce_seed0'],
            ),
            results / name / 'grid.json',
        )
    (results / 'study/runs/one_fold1_triplet_seed0.json').unlink()
    (results / 'study/runs/stranger.json').write_text('')
    write_index(results, tmp_path / 'docs' / 'all.md')
    assert tables(tmp_path / 'docs' / 'all.md') == [
        [
            ['grid', 'data sets', 'judged on', 'experiments'],
            ['---', '---', '---', '---:'],
            ['[beta](all/beta.md)', 'x_y', 'test', '0 of 1'],
            ['[The study](all/study.md)', 'one, two', 'test', '23 of 24'],
            ['[alpha](all/alpha.md)', 'x_y', 'validation', '0 of 1'],
        ]
    ]


def test_few_groups_are_no_evidence(results, tmp_path):
    page = tmp_path / 'results.md'
    write_page(results / 'study', page, resamples=20)
    assert 'Fewer than' not in page.read_text()
    for file in (results / 'study' / 'images').iterdir():
        one = dict(groups=pack(np.zeros(SIZE, int)))
        write_json(json.loads(file.read_text()) | one, file)
    write_page(results / 'study', page, resamples=20)
    text = page.read_text()
    assert text.count(f'Fewer than {FEW_GROUPS} groups') == 4  # headline and tables
    assert '**+' not in text and '**-' not in text


def test_a_class_of_few_groups_is_named(results, tmp_path):
    """Of 2 folds x 100 groups, those with class c become 2 x 3."""
    for file in (results / 'study' / 'images').iterdir():
        images = json.loads(file.read_text())
        rare = unpack(images['labels']) == 2
        groups = np.where(rare, np.arange(SIZE) % 3, 10 + unpack(images['groups']))
        write_json(images | dict(groups=pack(groups)), file)
    page = tmp_path / 'results.md'
    write_page(results / 'study', page, resamples=20)
    said = (
        f'one: Classes with fewer than {FEW_GROUPS} groups (c: 6). Intervals of means'
    )
    assert said in page.read_text() and '**+' not in page.read_text()


def test_a_class_that_a_row_always_finds_makes_no_difference_bold(results, tmp_path):
    """Its recall is 100% in each resample: the interval is too narrow."""
    page, file = tmp_path / 'results.md', results / 'study' / 'grid.json'
    write_json(json.loads(file.read_text()) | dict(plug_in=[('triplet', 'ce')]), file)
    write_page(results / 'study', page, resamples=20)
    plug_in, *others = page.read_text().split('## With and without')
    assert '**+' in plug_in and '**+' in others[0]

    def find_all_of_class_0(result):
        if result['method'] != 'ce':
            return
        name = f'{result["dataset"]}_fold{result["fold"]}.json'
        images = json.loads((results / 'study' / 'images' / name).read_text())
        labels = unpack(images['labels'])
        for row in result['rows']:
            predicted = np.where(labels == 0, 0, unpack(row['predicted']))
            row['predicted'] = pack(predicted)

    change_results(results / 'study', find_all_of_class_0)
    write_page(results / 'study', page, resamples=20)
    assert '**+' not in page.read_text()  # all differences are from ce + crt


def test_a_data_set_without_test_results_so_far_stops_no_page(results, tmp_path):
    def only_ce_on_validation(result):
        if result['dataset'] == 'one':
            result['rows'] = [row for row in result['rows'] if not row['stage2']]
            for row in result['rows']:
                del row['test'], row['predicted']

    for file in (results / 'study' / 'runs').glob('one_*'):
        if '_ce_' not in file.name:
            file.unlink()
    change_results(results / 'study', only_ce_on_validation)
    write_page(results / 'study', tmp_path / 'results.md', resamples=20)
    assert 'With and without' in (tmp_path / 'results.md').read_text()


def test_remarks_of_results_are_on_the_page_once(results, tmp_path):
    change_results(results / 'study', lambda result: result.update(remarks=['Look!']))
    write_page(results / 'study', tmp_path / 'results.md', resamples=20)
    assert (tmp_path / 'results.md').read_text().count('\n- Look!\n') == 1


def test_an_incomplete_result_is_named(results, tmp_path):
    file = next((results / 'study' / 'runs').iterdir())
    file.write_text(file.read_text()[:-40])
    with pytest.raises(ValueError, match=rf'{file.name} is not a complete JSON file'):
        write_page(results / 'study', tmp_path / 'results.md')
