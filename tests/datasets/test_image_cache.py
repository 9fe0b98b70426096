import multiprocessing
import os
from pathlib import Path

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmpretrain.registry import TRANSFORMS
from torch.utils.data import DataLoader

from mmimbal.datasets import CSVDataset, image_cache

LOAD, PACK = dict(type='LoadImageFromFile'), dict(type='PackInputs')
RESIZE = dict(type='Resize', scale=(12, 8))
PIPELINES = {
    'plain': [LOAD, PACK],
    'resized': [LOAD, RESIZE, PACK],
    'cropped': [
        LOAD,
        dict(type='ResizeEdge', scale=20),
        dict(type='CenterCrop', crop_size=10),
        PACK,
    ],
    'random': [LOAD, dict(type='RandomResizedCrop', scale=8), RESIZE, PACK],
    'views': [LOAD, dict(type='MultiView', num_views=2, transforms=[[RESIZE]]), PACK],
}


@pytest.fixture(params=['ram', 'folder'])
def cache(request, tmp_path):
    return 'ram' if request.param == 'ram' else str(tmp_path / 'decoded')


@pytest.fixture
def counted(monkeypatch):
    """Count the images that are decoded in this process."""
    found = []
    imfrombytes = mmcv.imfrombytes

    def decode(content, **kwargs):
        found.append(len(content))
        return imfrombytes(content, **kwargs)

    monkeypatch.setattr(mmcv, 'imfrombytes', decode)
    return found


def images_of(item):
    inputs = item['inputs']
    return inputs if isinstance(inputs, list) else [inputs]


def assert_same(one, other):
    for left, right in zip(images_of(one), images_of(other), strict=True):
        assert torch.equal(left, right)
    assert one['data_samples'].metainfo == other['data_samples'].metainfo


@pytest.mark.parametrize('name', PIPELINES)
def test_images_are_as_from_the_files(folder, cache, name):
    for number, path in enumerate(sorted(Path(folder, 'images').iterdir())):
        image = cv2.imread(str(path))
        cv2.imwrite(str(path), cv2.resize(image, (16 + number, 20 + 2 * number)))
    plain = CSVDataset(str(folder), 'train', pipeline=PIPELINES[name])
    kept = CSVDataset(str(folder), 'train', pipeline=PIPELINES[name], cache=cache)
    for index in range(len(plain)):
        items = []
        for dataset in (plain, kept):
            np.random.seed(index)
            items.append(dataset[index])
        assert_same(*items)


def test_each_image_is_decoded_once(folder, cache, counted):
    dataset = CSVDataset(str(folder), 'train', pipeline=PIPELINES['plain'], cache=cache)
    assert len(counted) == len(dataset) == 12
    for _ in range(2):
        for index in range(12):
            dataset[index]
    assert len(counted) == 12
    again = CSVDataset(str(folder), 'train', pipeline=PIPELINES['plain'], cache=cache)
    assert len(counted) == (24 if cache == 'ram' else 12)
    assert_same(again[3], dataset[3])


@pytest.mark.parametrize('method', ['fork', 'spawn'])
def test_workers_share_it(folder, cache, method):
    dataset = CSVDataset(str(folder), 'train', pipeline=PIPELINES['plain'], cache=cache)
    for path in Path(folder, 'images').iterdir():
        path.unlink()
    loader = DataLoader(
        dataset,
        num_workers=1,
        collate_fn=_first,
        multiprocessing_context=multiprocessing.get_context(method),
    )
    for index, item in enumerate(loader):
        assert_same(item, dataset[index])


def _first(items):
    return items[0]


def test_a_part_of_the_dataset_finds_its_images(folder, cache, counted):
    dataset = CSVDataset(
        str(folder), 'train', pipeline=PIPELINES['resized'], cache=cache
    )
    assert dataset[0]['inputs'].shape == (3, 8, 12)
    part = dataset.get_subset([5, 2])
    assert torch.equal(part[1]['inputs'], dataset[2]['inputs'])
    assert len(counted) == 12


@pytest.mark.parametrize('change', ['file', 'pipeline', 'list'])
def test_what_has_changed_is_decoded_again(folder, tmp_path, change, counted):
    cache = str(tmp_path / 'decoded')
    CSVDataset(str(folder), 'train', pipeline=PIPELINES['plain'], cache=cache)
    pipeline, split = PIPELINES['plain'], 'train'
    path = folder / 'images/train_a_0.png'
    if change == 'file':
        cv2.imwrite(str(path), 255 - cv2.imread(str(path)))
        os.utime(path, ns=(1, 1))
    elif change == 'pipeline':
        pipeline = PIPELINES['resized']
    else:
        split = None
    dataset = CSVDataset(str(folder), split, pipeline=pipeline, cache=cache)
    assert len(counted) == 12 + len(dataset)
    if change == 'file':
        expected = torch.from_numpy(cv2.imread(str(path))).permute(2, 0, 1)
        assert torch.equal(dataset[0]['inputs'], expected)


def test_broken_images_fail_when_they_are_wanted(folder, cache):
    (folder / 'images/train_a_1.png').write_bytes(b'')
    pipeline = PIPELINES['plain']
    dataset = CSVDataset(str(folder), 'train', pipeline=pipeline, cache=cache)
    dataset[0]
    with pytest.raises(RuntimeError, match=r'train_a_1\.png cannot be loaded'):
        dataset[1]
    skipping = CSVDataset(
        str(folder), 'train', pipeline=pipeline, cache=cache, on_error='skip'
    )
    assert skipping[1]['data_samples'].gt_label == 0


def test_an_interrupted_cache_is_not_read(folder, tmp_path, monkeypatch, counted):
    cache = str(tmp_path / 'decoded')
    written = image_cache._decode

    def stopped(*args):
        written(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(image_cache, '_decode', stopped)
    with pytest.raises(KeyboardInterrupt):
        CSVDataset(str(folder), 'train', pipeline=PIPELINES['plain'], cache=cache)
    assert not [path for path in Path(cache).iterdir() if path.is_dir()]
    monkeypatch.undo()
    dataset = CSVDataset(str(folder), 'train', pipeline=PIPELINES['plain'], cache=cache)
    assert dataset[0]['inputs'].shape == (3, 16, 16)


def test_too_little_memory_is_told(folder, monkeypatch):
    def full(*args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(image_cache, '_decode', full)
    with pytest.raises(OSError, match=r'/dev/shm: .*No space.* Set cache to a folder'):
        CSVDataset(str(folder), 'train', pipeline=PIPELINES['plain'], cache='ram')


def test_a_pipeline_must_begin_with_loading(folder):
    with pytest.raises(ValueError, match='begins with LoadImageFromFile'):
        CSVDataset(str(folder), 'train', pipeline=[PACK], cache='ram')


def test_images_of_several_chunks_keep_their_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(image_cache, 'CHUNK', 2)
    paths = []
    for number in range(5):
        paths.append(str(tmp_path / f'{number}.png'))
        cv2.imwrite(paths[-1], np.full((4 + number, 6, 3), 10 * number, np.uint8))
    load = TRANSFORMS.build(dict(type='LoadImageFromFile'))
    (step,) = image_cache.cache_images([load], paths, str(tmp_path / 'cache'))
    for path in paths:
        found, expected = step(dict(img_path=path)), load(dict(img_path=path))
        assert np.array_equal(found['img'], expected['img'])


@pytest.mark.parametrize('file', ['pixels.bin', 'table.npz'])
@pytest.mark.parametrize('damage', ['cut', 'gone'])
def test_a_damaged_folder_is_decoded_again(folder, tmp_path, counted, file, damage):
    """A message that blames the images would be wrong, and to skip them, too."""
    cache = str(tmp_path / 'decoded')
    pipeline = PIPELINES['plain']
    expected = CSVDataset(str(folder), 'train', pipeline=pipeline, cache=cache)[11]
    (path,) = Path(cache).glob(f'*/{file}')
    if damage == 'cut':
        os.truncate(path, path.stat().st_size // 2)
    else:
        path.unlink()
    again = CSVDataset(str(folder), 'train', pipeline=pipeline, cache=cache)
    assert len(counted) == 24
    assert_same(again[11], expected)


def test_an_image_that_a_pipeline_leaves_out_is_not_kept(folder, cache):
    """LoadImageFromFile(ignore_empty=True) returns None for it."""
    (folder / 'images/train_a_1.png').write_bytes(b'')
    pipeline = [dict(LOAD, ignore_empty=True), RESIZE, PACK]
    plain = CSVDataset(str(folder), 'train', pipeline=pipeline, test_mode=True)
    kept = CSVDataset(
        str(folder), 'train', pipeline=pipeline, test_mode=True, cache=cache
    )
    files = plain.get_files()
    empty = files.index('images/train_a_1.png')
    assert plain.pipeline(plain.get_data_info(empty)) is None
    assert kept.pipeline(kept.get_data_info(empty)) is None
    assert_same(plain[empty - 1], kept[empty - 1])
