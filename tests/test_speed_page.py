"""The page of speed is made of the results of the benchmarks."""

import json

import _page
import pytest
from _machine import name_of

MACHINE = dict(
    device='Some CPU',
    gpu=False,
    cpu='Some CPU',
    cores=4,
    threads=2,
    bf16=False,
    versions=dict(python='3.11', torch='2.11'),
)
ROW = dict(
    case='step',
    ours=2.0,
    peer=8.0,
    peer_name='theirs',
    unit='s',
    ratio=4.0,
    goal=None,
    size='full',
    images=None,
    date='2026-01-02',
)


def write(folder, machine, rows):
    folder.mkdir(exist_ok=True)
    found = dict(description='Compare.', machine=machine, rows=rows)
    (folder / 'steps.json').write_text(json.dumps(found))


def test_the_page_is_up_to_date():
    text = _page.speed_page(_page.RESULTS)
    assert _page.PAGE.read_text(encoding='utf-8') == text, (
        'write it: python benchmarks/_page.py'
    )


def test_no_tiny_size_is_on_the_page():
    for file in _page.RESULTS.glob('*/*.json'):
        assert {row['size'] for row in json.loads(file.read_text())['rows']} == {'full'}


@pytest.mark.parametrize(
    ('change', 'cells'),
    [
        (dict(), '| step | 2 | 8 | s | 4 | - | theirs |'),
        (dict(goal=4), '| step | 2 | 8 | s | 4 | 4 | theirs |'),
        (dict(goal=5), '| step | 2 | 8 | s | **4** | 5 | theirs |'),
        (dict(peer=None, ratio=None, goal=2), '| step | 2 | - | s | - | at most 2 |'),
        (dict(peer=None, ratio=None, goal=1), '| step | **2** | - | s | - | at most 1'),
        (dict(ours=12345.0), '| step | 12,345 | 8 |'),
    ],
)
def test_rows_that_miss_their_goal_are_bold(tmp_path, change, cells):
    write(tmp_path / 'cpu', MACHINE, [ROW | change])
    assert cells in _page.speed_page(tmp_path)


def test_each_machine_has_its_section_gpus_last(tmp_path):
    write(tmp_path / 'a_gpu', MACHINE | dict(device='A GPU', gpu=True), [ROW])
    write(tmp_path / 'some_cpu', MACHINE, [ROW])
    text = _page.speed_page(tmp_path)
    assert text.index('## 4 cores of Some CPU') < text.index('## A GPU')
    assert '4 cores of Some CPU, without bf16; 2 threads' in text
    assert text.count('### steps') == 2


def test_machines_that_differ_in_bf16_do_not_share_a_folder_or_a_title():
    machines = [MACHINE, MACHINE | dict(bf16=True)]
    assert [name_of(each) for each in machines] == [
        '4_cores_of_some_cpu_without_bf16',
        '4_cores_of_some_cpu_with_bf16',
    ]
    assert len({_page.describe(each).splitlines()[0] for each in machines}) == 2
    assert name_of(MACHINE | dict(device='A GPU', gpu=True)) == 'a_gpu'


def test_sections_say_when_and_on_which_images(tmp_path):
    rows = [
        ROW | dict(images='some: 3 training images'),
        ROW | dict(date='2026-01-01'),
        ROW | dict(images='some: 3 training images'),
    ]
    write(tmp_path / 'cpu', MACHINE, rows)
    page = _page.speed_page(tmp_path)
    line = 'Measured on 2026-01-01, 2026-01-02. some: 3 training images.'
    assert page.count(line) == 1 and page.count('some:') == 1


def test_two_results_of_one_machine_are_an_error(tmp_path):
    for name in ('before', 'now'):
        write(tmp_path / name, MACHINE, [ROW])
    with pytest.raises(ValueError, match=r'the same machine has another steps\.json'):
        _page.speed_page(tmp_path)


def test_no_results_are_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match='no results of benchmarks'):
        _page.speed_page(tmp_path)
