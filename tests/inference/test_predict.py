"""New images are predicted by one model or the mean of several."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmimbal.evaluation.threads import limited_threads
from mmimbal.files.lock import InUseError, locked
from mmimbal.inference.find_images import files_left_out, find_images
from mmimbal.inference.image_size import size_of_images
from mmimbal.inference.members import find_members
from mmimbal.inference.predict import predict_files, predict_split
from mmimbal.inference.predictor import load_predictor
from mmimbal.inference.table import PredictionTable
from tests.distributed import run_on_ranks
from tests.inference.conftest import CLASSES, plain_model, read_table
from tests.processes import free_port
from tests.tools import explain, succeed


def probabilities(work_dir, files):
    """Work out the probabilities of a trained model, one image after the other."""
    model, cfg = plain_model(work_dir)
    rows = []
    mean, std = (
        torch.tensor(cfg.model.data_preprocessor[k])[:, None, None]
        for k in ('mean', 'std')
    )
    for file in files:
        image = torch.from_numpy(cv2.imread(file)).permute(2, 0, 1).float()
        with torch.no_grad():
            features = model.extract_feat(((image - mean) / std)[None])
            rows.append(model.head(features).softmax(1)[0].numpy())
    return np.stack(rows)


def table_of(table):
    return np.array([[float(row[name]) for name in CLASSES] for row in table])


def test_one_model(data, members, tmp_path):
    files = find_images([data / 'images'])
    predictor = load_predictor([members / 'fold0'])
    assert predict_files(predictor, files, tmp_path / 'out.csv', workers=0) == 0
    table = read_table(tmp_path / 'out.csv')
    expected = probabilities(members / 'fold0', files)
    assert [row['file'] for row in table] == files and len(files) == 48
    assert np.allclose(table_of(table), expected, atol=2e-6)
    labels = [CLASSES[k] for k in expected.argmax(1)]
    assert [row['predicted'] for row in table] == labels
    assert [path.name for path in tmp_path.iterdir()] == ['out.csv']


def test_an_ensemble_is_the_mean_of_its_members(data, members, tmp_path):
    files = find_images([data], split='test')
    assert len(files) == 15
    predict_files(load_predictor([members]), files, tmp_path / 'out.csv', workers=0)
    each = [probabilities(members / f'fold{k}', files) for k in (0, 1)]
    found = table_of(read_table(tmp_path / 'out.csv'))
    assert np.allclose(found, np.mean(each, axis=0), atol=2e-6)
    assert not np.allclose(each[0], each[1], atol=1e-3)


def test_an_ensemble_of_one_equals_the_member(data, members, tmp_path):
    files = find_images([data], split='test')
    first, copy = members / 'fold0', tmp_path / 'copy'
    shutil.copytree(first, copy)
    for name, paths in (('one', [first]), ('twice', [first, copy])):
        predictor = load_predictor(paths)
        predict_files(predictor, files, tmp_path / f'{name}.csv', workers=0)
    one, twice = (read_table(tmp_path / f'{name}.csv') for name in ('one', 'twice'))
    assert np.allclose(table_of(one), table_of(twice), atol=1.5e-6)


def test_mirrored_views_are_averaged(data, members, tmp_path):
    """Of an image that is its own mirror image, they change nothing."""
    random = np.random.default_rng(0)
    half = random.integers(0, 256, (8, 4, 3), np.uint8)
    images = dict(
        same=np.concatenate([half, half[:, ::-1]], axis=1),
        other=random.integers(0, 256, (8, 8, 3), np.uint8),
    )
    images['mirrored'] = images['other'][:, ::-1]
    for name, image in images.items():
        cv2.imwrite(str(tmp_path / f'{name}.png'), image)
    files = [str(tmp_path / f'{name}.png') for name in images]
    predictor = load_predictor([members / 'fold1'])
    tables = {}
    for tta in ('flips', None):
        predict_files(predictor, files, tmp_path / 'out.csv', workers=0, tta=tta)
        tables[tta] = table_of(read_table(tmp_path / 'out.csv'))
    assert np.allclose(tables['flips'][0], tables[None][0], atol=1.5e-6)
    expected = tables[None][1:].mean(0)
    assert np.allclose(tables['flips'][1:], expected, atol=1.5e-6)


def test_ten_crops_are_averaged(data, members, tmp_path):
    """The corners and the middle of 12 x 10 pixels, 8 x 8 each, and mirrored."""
    image = np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)
    places = [(0, 0), (0, 2), (4, 0), (4, 2), (2, 1)]
    crops = [image[y : y + 8, x : x + 8] for y, x in places]
    views = [*crops, *(crop[:, ::-1] for crop in crops)]
    for number, view in enumerate([image, *views]):
        cv2.imwrite(str(tmp_path / f'{number}.png'), view)
    whole, *files = [str(tmp_path / f'{number}.png') for number in range(11)]
    expected = probabilities(members / 'fold0', files)
    assert np.ptp(expected, axis=0).max() > 1e-3
    predictor = load_predictor([members / 'fold0'])
    predict_files(predictor, [whole], tmp_path / 'o.csv', workers=0, tta='crops')
    table = read_table(tmp_path / 'o.csv')
    assert np.allclose(table_of(table), expected.mean(0), atol=2e-6)
    assert table[0]['predicted'] == CLASSES[expected.mean(0).argmax()]


def test_the_flag_names_views(data, members, tmp_path):
    words = [members / 'fold0', data, '--split', 'test', '--out', tmp_path / 'o.csv']
    tables = {}
    for flags in ((), ('--tta',), ('--tta', 'flips'), ('--tta', 'crops')):
        assert explain('predict', *words, *flags) is None
        tables[flags] = table_of(read_table(tmp_path / 'o.csv'))
    plain, default, flips, crops = tables.values()
    assert np.array_equal(default, flips) and not np.allclose(default, plain)
    assert np.allclose(crops, flips, atol=2e-6)  # all crops of 8 x 8 pixels are one


@pytest.mark.parametrize('workers', [0, 1])
def test_broken_images_are_rows_with_their_reason(data, members, tmp_path, workers):
    (tmp_path / 'bad.png').write_bytes(b'no image')
    files = [*find_images([data], 'val'), str(tmp_path / 'bad.png')]
    files.insert(2, str(tmp_path / 'missing.png'))
    predictor = load_predictor([members / 'fold0'])
    out = tmp_path / 'out.csv'
    assert predict_files(predictor, files, out, batch_size=3, workers=workers) == 2
    table = read_table(out)
    assert [row['file'] for row in table] == files
    problems = [row['problem'] for row in table]
    assert [bool(text) for text in problems] == [n in (2, 10) for n in range(11)]
    assert 'FileNotFoundError' in problems[2] and table[2]['predicted'] == ''


def test_a_range_of_floats_stops_at_no_broken_image(members, tmp_path):
    folder = tmp_path / 'floats'
    folder.mkdir()
    cv2.imwrite(str(folder / 'a.tiff'), np.full((8, 8, 3), 0.5, np.float32))
    whole = (folder / 'a.tiff').read_bytes()
    (folder / 'cut.tiff').write_bytes(whole[: len(whole) // 2])
    (folder / 'gone.tiff').symlink_to('nowhere.tiff')
    out = tmp_path / 'o.csv'
    words = [members / 'fold0', folder, '--range', '0', '1', '--out', out]
    assert explain('predict', *words) is None
    table = {Path(row['file']).name: row['problem'] for row in read_table(out)}
    assert not table.pop('a.tiff') and all(table.values())
    assert list(table) == ['cut.tiff', 'gone.tiff']


class Stop(Exception):
    """Stands for a kill."""


def test_it_goes_on_where_it_was_stopped(data, members, tmp_path, monkeypatch):
    files = find_images([data / 'images'])
    predictor = load_predictor([members / 'fold0'])
    predict_files(predictor, files, tmp_path / 'whole.csv', workers=0)
    read = []

    def read_or_stop(self, index):
        read.append(index)
        if len(read) == 20:
            raise Stop
        return original(self, index)

    original = torch.utils.data.Subset.__getitem__
    monkeypatch.setattr(torch.utils.data.Subset, '__getitem__', read_or_stop)
    monkeypatch.delattr(torch.utils.data.Subset, '__getitems__', raising=False)
    with pytest.raises(Stop):
        predict_files(predictor, files, tmp_path / 'o.csv', batch_size=6, workers=0)
    part = tmp_path / 'o.csv.part0'
    assert len(part.read_text().splitlines()) == 18
    with open(part, 'a') as opened:
        opened.write('half a ro')
    predict_files(predictor, files, tmp_path / 'o.csv', batch_size=6, workers=0)
    assert read[20] == 0 and len(read) - 20 == 48 - 18
    whole, found = (read_table(tmp_path / name) for name in ('whole.csv', 'o.csv'))
    assert [row['file'] for row in found] == files
    assert np.allclose(table_of(found), table_of(whole), atol=1.5e-6)


def test_other_settings_do_not_go_on(data, members, tmp_path):
    files = find_images([data], 'val')
    predictor = load_predictor([members / 'fold0'])
    out = tmp_path / 'o.csv'
    predict_files(predictor, files, out, workers=0)
    (tmp_path / 'o.csv.part0').write_text('x,a,1,0,0,\n')
    (tmp_path / 'o.csv.settings.json').write_text('{"tta": true}')
    with pytest.raises(ValueError, match=r'of a run with other .*model.*tta'):
        predict_files(predictor, files, out, workers=0)


def test_rows_of_another_pipeline_do_not_go_on(data, members, tmp_path):
    files, out = find_images([data / 'images'])[:10], tmp_path / 'o.csv'
    predictor = load_predictor([members / 'fold0'])
    stop_after_two(predictor, files, out)
    first, _, last = predictor.pipeline
    crop = dict(type='mmpretrain.CenterCrop', crop_size=6)
    other = replace(predictor, pipeline=[first, crop, last])
    with pytest.raises(ValueError, match='of a run with other config'):
        predict_files(other, files, out, workers=0)


def test_probabilities_that_are_not_finite_are_a_problem(data, members, tmp_path):
    """Of one image in a batch, which the others do not share."""
    files, out = find_images([data / 'images'])[:6], tmp_path / 'o.csv'
    predictor = load_predictor([members / 'fold0'])
    predict_files(predictor, files, out, workers=0)
    expected = read_table(out)
    step = predictor.model.test_step

    def one_diverges(batch):
        samples = step(batch)
        samples[1].pred_score = samples[1].pred_score * float('nan')
        return samples

    predictor.model.test_step = one_diverges
    assert predict_files(predictor, files, out, workers=0) == 1
    found = read_table(out)
    assert 'not finite' in found[1]['problem'] and not found[1]['predicted']
    assert found[:1] + found[2:] == expected[:1] + expected[2:]
    with pytest.raises(ValueError, match='cannot be predicted: the model gives'):
        predict_split(predictor, data, 'val')


def test_an_image_given_twice_has_one_row(data):
    once = find_images([data / 'images'])
    again = [data / 'images' / '..' / 'images', Path(once[0])]
    assert find_images([data / 'images', *again]) == once


def test_only_one_process_writes_a_table(data, members, tmp_path):
    files, out = find_images([data / 'images'])[:4], tmp_path / 'o.csv'
    predictor = load_predictor([members / 'fold0'])
    with locked(out), pytest.raises(InUseError, match=r'is using .*o\.csv: wait until'):
        predict_files(predictor, files, out, workers=0)
    predict_files(predictor, files, out, workers=0)
    assert [file.name for file in tmp_path.iterdir()] == ['o.csv']


def test_problems_of_an_earlier_call_count(data, members, tmp_path):
    bad = tmp_path / 'bad.png'
    bad.write_bytes(b'nothing')
    files = [str(bad), *find_images([data / 'images'])[:3]]
    predictor, out = load_predictor([members / 'fold0']), tmp_path / 'o.csv'
    stop_after_two(predictor, files, out)
    assert predict_files(predictor, files, out, workers=0) == 1


def test_rows_without_their_settings_do_not_go_on(data, members, tmp_path):
    files, out = find_images([data / 'images'])[:10], tmp_path / 'o.csv'
    predictor = load_predictor([members / 'fold0'])
    stop_after_two(predictor, files, out)
    (tmp_path / 'o.csv.settings.json').unlink()
    with pytest.raises(ValueError, match=r'settings.json is missing: remove .*part'):
        predict_files(predictor, files, out, workers=0)


def predict_on_rank(rank, members, files, out):
    predict_files(load_predictor([members / 'fold0']), files, out, workers=0)


def test_two_ranks_write_one_table(data, members, tmp_path):
    files = find_images([data / 'images'])[:47]
    predict_files(
        load_predictor([members / 'fold0']), files, tmp_path / 'one.csv', workers=0
    )
    run_on_ranks(2, predict_on_rank, members, files, tmp_path / 'two.csv')
    one, two = (read_table(tmp_path / f'{n}.csv') for n in ('one', 'two'))
    assert [row['file'] for row in two] == files
    assert np.allclose(table_of(one), table_of(two), atol=1.5e-6)


def test_members_of_a_cross_validation(members):
    found = find_members(members)
    assert [path.parent.name for path in found] == ['fold0', 'fold1']
    with pytest.raises(FileNotFoundError, match=r'neither best_\*\.pth nor a last'):
        find_members(members.parent)


def test_a_shifted_list_of_files_does_not_go_on(data, members, tmp_path):
    files = find_images([data / 'images'])
    predictor, out = load_predictor([members / 'fold0']), tmp_path / 'o.csv'
    stop_after_two(predictor, files[:10], out)
    with pytest.raises(ValueError, match='of a run with other files: remove them'):
        predict_files(predictor, files[5:15], out, workers=0)
    predict_files(predictor, files[:10], out, workers=0)
    assert [row['file'] for row in read_table(out)] == files[:10]


def test_another_model_at_the_same_path_does_not_go_on(data, members, tmp_path):
    files, out = find_images([data / 'images'])[:10], tmp_path / 'o.csv'
    stop_after_two(load_predictor([members / 'fold0']), files, out)
    with pytest.raises(ValueError, match='of a run with other model: remove them'):
        predict_files(load_predictor([members / 'fold1']), files, out, workers=0)


def stop_after_two(predictor, files, out):
    """Predict two images, then stop as if it was killed."""
    step, calls = predictor.model.test_step, []

    def once(batch):
        calls.append(batch)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return step(batch)

    predictor.model.test_step = once
    with pytest.raises(KeyboardInterrupt):
        predict_files(predictor, files, out, 2, workers=0)
    predictor.model.test_step = step
    assert (out.parent / f'{out.name}.part0').is_file() and not out.exists()


def test_what_cannot_be_predicted_alike_in_any_batch_is_a_problem(
    data, members, tmp_path
):
    """Too small for the crop, or deeper than 8 bits."""
    small, deep = tmp_path / 'small.png', tmp_path / 'deep.png'
    cv2.imwrite(str(small), np.full((5, 9, 3), 9, np.uint8))
    cv2.imwrite(str(deep), np.full((9, 9, 3), 4095, np.uint16))
    good = find_images([data / 'images'])[0]
    out = tmp_path / 'o.csv'
    predictor = load_predictor([members / 'fold0'])
    files = [str(small), good, str(deep)]
    assert predict_files(predictor, files, out, workers=0) == 2
    first, second, third = read_table(out)
    assert first['problem'] == 'it has 5 x 8 pixels, and the model takes 8 x 8'
    assert not second['problem'] and second['predicted']
    assert 'uint16 values' in third['problem']
    assert 'the --range LOW HIGH that the training images were' in third['problem']
    assert not first['predicted'] and not third['predicted']


def test_a_range_is_that_of_the_training_images(data, members, tmp_path):
    """Images of 8 bits stay as they are, as in tools/prepare_dataset.py."""
    shallow = cv2.imread(find_images([data / 'images'])[0])
    files = [str(tmp_path / f'{bits}.png') for bits in (8, 16)]
    cv2.imwrite(files[0], shallow)
    cv2.imwrite(files[1], shallow.astype(np.uint16) * 8 + 100)
    predictor, out = load_predictor([members / 'fold0']), tmp_path / 'o.csv'
    value_range = (100, 100 + 8 * 255)
    assert not predict_files(predictor, files, out, workers=0, value_range=value_range)
    first, second = read_table(out)
    assert first.pop('file') != second.pop('file') and first == second


def test_a_class_may_have_the_name_of_another_column(data, members, tmp_path):
    predictor = load_predictor([members / 'fold0'])
    names = ('file', 'problem', *predictor.classes[2:])
    renamed = replace(predictor, classes=names)
    files = find_images([data / 'images'])[:2]
    assert not predict_files(renamed, files, tmp_path / 'o.csv', workers=0)
    predict_files(predictor, files, tmp_path / 'p.csv', workers=0)
    usual = read_table(tmp_path / 'p.csv')
    for row, expected in zip(read_table(tmp_path / 'o.csv'), usual, strict=True):
        assert row['file'] == expected['file'] and row['problem'] == ''
        for name, old in zip(names[:2], predictor.classes, strict=False):
            assert row[f'class {name}'] == expected[old]


def test_an_ensemble_in_an_ensemble_is_refused(members, tmp_path):
    assert explain('publish', members, tmp_path / 'both.pth') is None
    with pytest.raises(ValueError, match=r'both\.pth is an ensemble itself: give its'):
        load_predictor([members / 'fold0', tmp_path / 'both.pth'])


def test_the_ranks_of_torchrun_predict_each_image_once(data, members, tmp_path):
    start = ['-m', 'torch.distributed.run', '--nproc_per_node', 2, '--master_port']
    out = tmp_path / 'o.csv'
    flags = [data, '--split', 'test', '--out', out, '--workers', 0]
    tool = ['tools/predict.py', members / 'fold0', *flags]
    said = succeed(*start, free_port(), *tool)
    assert said.count('Written: ') == 1 and '15 images by one model' in said
    files = [row['file'] for row in read_table(out)]
    assert files == find_images([data], 'test')
    assert [file.name for file in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize(('workers', 'used'), [(0, 3), (1, 2)])
def test_threads_leave_cores_to_the_workers(data, members, tmp_path, workers, used):
    predictor = load_predictor([members / 'fold0'])
    threads = set()
    predictor.model.register_forward_hook(
        lambda *_: threads.add(torch.get_num_threads())
    )
    files = find_images([data / 'images'])[:3]
    with limited_threads(1):
        torch.set_num_threads(3)
        predict_files(predictor, files, tmp_path / 'o.csv', workers=workers)
        assert torch.get_num_threads() == 3
    assert threads == {used}


def test_a_pipeline_that_cannot_be_tried_has_no_known_size():
    with pytest.raises(ValueError, match='cannot be tried on an array'):
        size_of_images([dict(type='LoadImageFromFile'), dict(type='Normalise')])
    load = dict(type='mmpretrain.LoadImageFromFile')
    assert size_of_images([load, dict(type='Resize', scale=(8, 9))]) == (9, 8)


def test_ranks_do_not_mix_rows_of_two_models(tmp_path):
    """Even if the part of the first rank is gone."""
    file = tmp_path / 'o.csv'

    def table(rank, model):
        return PredictionTable(file, ['image'], dict(model=model), rank, 2)

    table(0, 'old')
    table(1, 'old').append([['x']])
    for rank in (0, 1):
        with pytest.raises(ValueError, match=r'part\* are of a run with other model'):
            table(rank, 'new')
        assert table(rank, 'old').number_done() == rank


def test_images_of_several_sizes_do_not_change_each_other(data, members, tmp_path):
    """A data preprocessor pads the images of a batch to the largest."""
    random = np.random.default_rng(0)
    files = []
    for number, shape in enumerate([(9, 30, 3), (40, 9, 3), (12, 12, 3)]):
        files.append(str(tmp_path / f'{number}.png'))
        cv2.imwrite(files[-1], random.integers(0, 255, shape, np.uint8))
    predictor = load_predictor([members / 'fold0'])
    edge = dict(type='mmpretrain.ResizeEdge', scale=8, edge='short')
    first, *others = predictor.pipeline
    several = replace(predictor, pipeline=[first, edge, *others])
    tables = []
    for size in (1, 3):
        assert not predict_files(several, files, tmp_path / 'o.csv', size, workers=0)
        tables.append(read_table(tmp_path / 'o.csv'))
        (tmp_path / 'o.csv').unlink()
    assert tables[0] == tables[1]


def test_the_size_after_a_crop_that_is_larger_than_small_images():
    load = dict(type='mmpretrain.LoadImageFromFile')
    crop = dict(type='mmpretrain.CenterCrop', crop_size=224)
    assert size_of_images([load, crop]) == (224, 224)
    edge = dict(type='mmpretrain.ResizeEdge', scale=48, edge='short')
    with pytest.raises(ValueError, match='several sizes, such as 48 x 72 and 72 x 48'):
        size_of_images([load, edge])


def test_no_file_of_a_folder_vanishes(data, tmp_path):
    """What cannot be decoded has a row with the problem; the rest is counted."""
    folder = tmp_path / 'mixed'
    folder.mkdir()
    image = cv2.imread(find_images([data / 'images'])[0])
    names = ('a.png', 'a_mask.png', 'z_mask.png', 'b.avif', 'c.HEIC', 'notes.txt')
    for name in (*names, 'Thumbs.db'):
        target = folder / name
        if name.endswith('png'):
            cv2.imwrite(str(target), image)
        else:
            target.write_bytes(b'nothing')
    (folder / 'd.png').symlink_to(folder / 'gone.png')
    found = [Path(file).name for file in find_images([folder])]
    assert found == ['a.png', 'b.avif', 'c.HEIC', 'd.png', 'z_mask.png']
    assert files_left_out([folder, folder / 'a.png']) == {
        'files that are no images (.txt)': 1,
        'files of the system': 1,
        'masks': 1,  # of a.png; z_mask.png is that of no image
    }


def test_what_cannot_be_decoded_says_why(data, members, tmp_path):
    contents = dict(empty=b'', cut=b'\x89PNG\r\n\x1a\n' + b'0' * 12, text=b'nothing')
    files = [find_images([data / 'images'])[0]]
    for name, content in contents.items():
        files.append(str(tmp_path / f'{name}.png'))
        Path(files[-1]).write_bytes(content)
    predictor = load_predictor([members / 'fold0'])
    assert predict_files(predictor, files, tmp_path / 'o.csv', workers=0) == 3
    problems = [row['problem'] for row in read_table(tmp_path / 'o.csv')]
    assert problems[0] == '' and problems[1] == 'the file is empty'
    assert not any('Error' in problem for problem in problems)


def test_mistakes_with_images_are_one_sentence(data, members, tmp_path):
    image, out = find_images([data / 'images'])[0], ['--out', tmp_path / 'o.csv']
    model = members / 'fold0'
    message = explain('predict', model, image, data / 'images', *out)
    assert f'{image} is an image, but a model is expected here' in message
    message = explain('predict', model, data / 'index.csv', *out)
    assert 'index.csv is no image: give images or folders' in message
    broken = tmp_path / 'broken.png'
    broken.write_bytes(b'')
    message = explain('predict', model, broken, *out, '--workers', 0)
    assert 'none of the images could be predicted: see' in message
    assert (tmp_path / 'o.csv').is_file()


def test_the_files_of_a_prepared_set_are_not_its_images(data, tmp_path):
    folder = tmp_path / 'set'
    shutil.copytree(data, folder)
    images = find_images([folder])
    image = cv2.imread(images[0])
    cv2.imwrite(str(folder / 'class_counts.png'), image)
    assert find_images([folder]) == images
    (folder / 'index.csv').unlink()  # of any folder, it may be an image
    assert len(find_images([folder])) == len(images) + 1


@pytest.mark.parametrize('name', [b'a\xe9.png', b'a\nb.png'])
def test_an_image_whose_name_no_table_can_have_is_refused(name, tmp_path):
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b'/' + name))
    file.touch()
    for path in (file, tmp_path):
        with pytest.raises(ValueError, match='Rename it'):
            find_images([path])
