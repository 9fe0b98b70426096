import tracemalloc

import numpy as np
import pytest

from mmimbal.datasets.sources.medmnist import Rows, read_medmnist

SPLITS = ('train', 'val', 'test')


def arrays(count=6, shape=(9, 7)):
    random = np.random.default_rng(0)
    made = {}
    for split in SPLITS:
        made[f'{split}_images'] = random.integers(0, 256, (count, *shape), np.uint8)
        made[f'{split}_labels'] = (np.arange(count) % 3)[:, None]
    return made


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
@pytest.mark.parametrize('shape', [(9, 7), (9, 7, 3)])
def test_every_image_in_any_order(tmp_path, save, shape):
    made = arrays(shape=shape)
    save(tmp_path / 'x.npz', **made)
    source = read_medmnist(tmp_path / 'x.npz')
    assert source.classes == ('0', '1', '2') and len(source.images) == 18
    for index in [*range(18), 17, 3, 0, 9]:
        image = source.images[index]
        split, number = SPLITS[index // 6], index % 6
        assert (image.split, image.label) == (split, str(number % 3))
        assert image.name == f'{split}/{number:06d}.png'
        stored = made[f'{split}_images'][number]
        bgr = stored[..., ::-1] if len(shape) == 3 else np.stack([stored] * 3, 2)
        pixels = image.pixels()
        assert np.array_equal(pixels, bgr) and pixels.flags.c_contiguous


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_one_image_at_a_time_is_in_memory(tmp_path, save):
    made = arrays(60, (224, 224, 3))
    size = made['train_images'].nbytes
    save(tmp_path / 'x_224.npz', **made)
    del made
    tracemalloc.start()
    source = read_medmnist(tmp_path / 'x_224.npz')
    total = sum(int(image.pixels().sum()) for image in source.images)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < size / 4 and total > 0


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        (dict(val_images=np.zeros((6, 9, 7), np.float32)), 'float32, by rows, instead'),
        (
            dict(val_images=np.asfortranarray(np.zeros((6, 9, 7), np.uint8))),
            'uint8, by columns',
        ),
        (dict(test_images=np.zeros((5, 9, 7), np.uint8)), '5 images and 6 labels'),
        (dict(test_images=np.zeros((6, 63), np.uint8)), r'not images: shape \(6, 63\)'),
        (dict(val_labels=np.zeros((6, 2), int)), r'\(val\) has several labels'),
    ],
)
def test_what_cannot_be_used(tmp_path, changed, message):
    np.savez(tmp_path / 'x.npz', **(arrays() | changed))
    with pytest.raises(ValueError, match=message):
        read_medmnist(tmp_path / 'x.npz')
    with pytest.raises(KeyError, match='nothing'):
        Rows(tmp_path / 'x.npz', 'nothing')


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_damage_is_noticed_when_an_image_is_read(tmp_path, save):
    path = tmp_path / 'x.npz'
    made = arrays(40, (64, 64))
    save(path, **made)
    content = bytearray(path.read_bytes())
    begin = content.index(b'train_images.npy') + 1000
    content[begin : begin + 50] = bytes(50)
    path.write_bytes(content)
    source = read_medmnist(path)
    with pytest.raises(ValueError, match=r'x\.npz is damaged at image \d+: .*again'):
        for image in source.images:
            image.pixels()
