import errno
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS, MODELS

from mmimbal.datasets import CSVDataset
from mmimbal.evaluation.threads import limited_threads
from mmimbal.stage2 import feature_cache
from mmimbal.stage2.feature_cache import cache_key, cached_features, open_cache
from mmimbal.stage2.frozen_features import describe
from tests.conftest import tiny_digits
from tests.distributed import run_on_ranks

AUGMENTED = [dict(type='RandomCrop', crop_size=8, padding=1), dict(type='PackInputs')]


def parts(pipeline=None, seed=0):
    init_default_scope('mmpretrain')
    cfg = tiny_digits('stage1_ce', '.')
    torch.manual_seed(seed)
    dataset = dict(
        cfg.train_dataloader.dataset,
        pipeline=pipeline or AUGMENTED,
        serialize_data=False,
    )
    return MODELS.build(cfg.model).eval(), DATASETS.build(dataset)


def cache_of(folder, pipeline=None, seed=0, **options):
    model, dataset = parts(pipeline, seed)
    return cached_features(model, dataset, repr(pipeline), folder, **options)


def test_features_are_those_of_the_backbone(tmp_path):
    plain = [dict(type='PackInputs')]
    model, dataset = parts(plain)
    features = cached_features(model, dataset, 'plain', tmp_path, batch_size=50)
    images = torch.stack([dataset[index]['inputs'] for index in range(len(dataset))])
    inputs = model.data_preprocessor(dict(inputs=images))['inputs']
    with torch.no_grad():
        expected = model.extract_feat(inputs)[-1]
    assert features.shape == (1, 291, 32) and features.dtype == np.float32
    torch.testing.assert_close(torch.tensor(features[0]), expected)


def test_views_differ_and_do_not_depend_on_batches_or_workers(tmp_path):
    model, dataset = parts()
    state = torch.random.get_rng_state()
    first = cached_features(model, dataset, repr(None), tmp_path / 'a', views=2)
    assert torch.random.get_rng_state().equal(state)
    second = cache_of(tmp_path / 'b', views=2, batch_size=7, num_workers=2)
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)
    changed = np.abs(first[0] - first[1]).max(1) > 1e-3
    assert changed.mean() > 0.5
    other = cache_of(tmp_path / 'a', views=2, seed=1)
    assert not np.allclose(first, other)


@pytest.mark.parametrize(('workers', 'used'), [(0, 3), (1, 2), (4, 1)])
def test_threads_leave_cores_to_the_workers(tmp_path, workers, used):
    model, dataset = parts()
    threads = set()
    model.backbone.register_forward_hook(
        lambda *_: threads.add(torch.get_num_threads())
    )
    with limited_threads(1):
        torch.set_num_threads(3)
        cached_features(model, dataset, '', tmp_path, num_workers=workers)
        assert torch.get_num_threads() == 3
    assert threads == {used}


def cache_on_rank(rank: int, folder) -> np.ndarray:
    return np.array(cache_of(folder, views=2, batch_size=32))


def test_two_ranks_write_the_cache_of_one_process(tmp_path):
    expected = cache_of(tmp_path / 'one', views=2, batch_size=32)
    for found in run_on_ranks(2, cache_on_rank, tmp_path / 'two'):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_half_the_precision_takes_half_the_space(tmp_path):
    whole, half = (cache_of(tmp_path, dtype=f'float{bits}') for bits in (32, 16))
    assert half.nbytes == whole.nbytes / 2
    np.testing.assert_allclose(half, whole, rtol=2e-3, atol=1e-4)


def counting(monkeypatch):
    """Count how often features are computed."""
    extract, calls = feature_cache.extract, []

    def counted(*args):
        calls.append(args)
        return extract(*args)

    monkeypatch.setattr(feature_cache, 'extract', counted)
    return calls


def test_only_the_same_features_are_read_again(tmp_path, monkeypatch):
    calls = counting(monkeypatch)
    variants = [
        {},
        dict(views=2),
        dict(seed=1),
        dict(dtype='float16'),
        dict(pipeline=[dict(type='PackInputs')]),
    ]
    for _ in range(2):
        for options in variants:
            cache_of(tmp_path, **options)
    assert len(calls) == len(variants)
    model, dataset = parts()
    next(model.backbone.parameters()).data[0] += 1e-3
    cached_features(model, dataset, repr(None), tmp_path)
    model.data_preprocessor.mean += 1
    cached_features(model, dataset, repr(None), tmp_path)
    assert len(calls) == len(variants) + 2
    model.head.fc.weight.data += 1  # features do not depend on it
    cached_features(model, dataset, repr(None), tmp_path)
    assert len(calls) == len(variants) + 2


@pytest.mark.parametrize('damage', ['cut', 'no meta', 'half a meta', 'no file'])
def test_a_damaged_cache_is_made_again(tmp_path, monkeypatch, damage):
    expected = np.array(cache_of(tmp_path))
    (cache,) = filter(Path.is_dir, tmp_path.iterdir())
    meta, file = cache / 'meta.json', cache / 'features.bin'
    if damage == 'cut':
        file.write_bytes(file.read_bytes()[:-1])
    elif damage == 'half a meta':
        meta.write_text(meta.read_text()[:5])
    else:
        (meta if damage == 'no meta' else file).unlink()
    assert open_cache(cache) is None
    calls = counting(monkeypatch)
    assert np.array_equal(cache_of(tmp_path), expected)
    assert len(calls) == 1


def test_a_full_disk_leaves_nothing_that_is_trusted(tmp_path, monkeypatch):
    extract = feature_cache.extract

    def full(*args):
        yield from [next(extract(*args))]
        raise OSError(errno.ENOSPC, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(feature_cache, 'extract', full)
        with pytest.raises(OSError, match='No space left'):
            cache_of(tmp_path)
    assert [open_cache(f) for f in tmp_path.iterdir() if f.is_dir()] == [None]
    assert cache_of(tmp_path).shape == (1, 291, 32)
    (cache,) = filter(Path.is_dir, tmp_path.iterdir())
    assert json.loads((cache / 'meta.json').read_text())['shape'] == [1, 291, 32]


@pytest.mark.parametrize('options', [dict(views=0), dict(dtype='int8')])
def test_bad_options_are_named(tmp_path, options):
    with pytest.raises(ValueError, match='must be at least 1, and dtype='):
        cache_of(tmp_path, **options)


def key_of(dataset) -> str:
    return cache_key(parts()[0], dataset, 'same', 1, 0, 'float32')


def test_other_images_are_other_features():
    """Of one config and the same labels, as after another split."""
    _, dataset = parts()
    before = key_of(dataset)
    assert key_of(parts()[1]) == before
    dataset.data_list[5]['img'] = dataset.data_list[5]['img'] + 1
    assert key_of(dataset) != before


def test_a_changed_file_is_another_image(folder):
    dataset = CSVDataset(str(folder), split='train')
    before = key_of(dataset)
    assert key_of(dataset) == before
    image = folder / 'images/train_a_0.png'
    image.write_bytes(image.read_bytes() + b'more')
    assert key_of(dataset) != before


def test_what_a_repr_hides_is_in_the_description():
    cfg = tiny_digits('stage1_ce', '.')
    parts = ('data_preprocessor', 'backbone', 'neck')
    before = describe(cfg, 'train_dataloader', parts)
    cfg.model.backbone.init_cfg = dict(type='Kaiming')
    assert describe(cfg, 'train_dataloader', parts) == before
    cfg.model.backbone.out_indices = (2,)
    assert describe(cfg, 'train_dataloader', parts) != before


def test_features_too_large_for_half_precision(tmp_path):
    model, dataset = parts()
    model.extract_feat = lambda inputs: (inputs.flatten(1) * 1e6,)
    with pytest.raises(ValueError, match="do not fit in float16: use dtype='float32'"):
        cached_features(model, dataset, '', tmp_path, dtype='float16')


def test_a_backbone_that_gives_no_tensor(tmp_path):
    model, dataset = parts()
    model.extract_feat = lambda inputs: ([inputs],)
    with pytest.raises(TypeError, match=r'last stage .* returns a list'):
        cached_features(model, dataset, '', tmp_path)


def test_an_error_leaves_the_model_and_the_random_numbers_as_they_are(tmp_path):
    model, dataset = parts()
    model.train()
    model.extract_feat = lambda inputs: ([inputs],)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    with pytest.raises(TypeError, match='only a tensor'):
        cached_features(model, dataset, '', tmp_path)
    assert model.training and random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]
    assert torch.get_rng_state().equal(states[2])


def test_weights_in_bfloat16_have_a_key():
    model, dataset = parts()
    keys = [
        cache_key(model.to(dtype), dataset, '', 1, 0, 'float32')
        for dtype in (torch.float32, torch.bfloat16)
    ]
    assert keys[0] != keys[1]
