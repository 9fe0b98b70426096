"""Training and testing show things of the same size and shape."""

import numpy as np
import pytest
from mmengine.config import Config
from mmpretrain.registry import TRANSFORMS

from tests.conftest import CONFIGS

PROFILES = sorted((CONFIGS / '_base_/profiles').glob('*.py'))
PROFILES = [path for path in PROFILES if path.stem != 'digits']
DRAWS = 100


def apply(pipeline, image):
    """Return what transforms, but for those that load and pack, make of an image."""
    results = dict(img=image.copy(), img_shape=image.shape[:2])
    for transform in pipeline:
        results = transform(results)
    return results['img']


def size_of_square(image):
    """Return height and width of what is bright, through its middle, in pixels."""
    bright = image[..., 0].astype(float) - image.min()
    bright /= bright.max()  # whatever ColorJitter made of black and white
    return np.array([bright.sum(0).max(), bright.sum(1).max()])


@pytest.mark.parametrize('path', PROFILES, ids=lambda path: path.stem)
def test_what_stands_upright_is_not_flipped_vertically(path):
    cfg = Config.fromfile(path)
    assert "'horizontal'" in str(cfg.upright_augment)
    assert "'vertical'" not in str(cfg.upright_augment)
    assert "'vertical'" in str(cfg.augment)
    assert cfg.train_pipeline == [*cfg.load, *cfg.augment, cfg.pack]


@pytest.mark.parametrize('shape', [(240, 240), (240, 320)], ids=['1:1', '4:3'])
@pytest.mark.parametrize('path', PROFILES, ids=lambda path: path.stem)
def test_things_have_the_same_size_in_training_and_testing(path, shape):
    cfg = Config.fromfile(path)
    train, test = (
        [TRANSFORMS.build(part) for part in loader.dataset.pipeline[1:-1]]
        for loader in (cfg.train_dataloader, cfg.test_dataloader)
    )
    image = np.zeros((*shape, 3), np.uint8)
    image[90:150, shape[1] // 2 - 30 : shape[1] // 2 + 30] = 255
    np.random.seed(0)
    drawn = [size_of_square(apply(train, image)) for _ in range(DRAWS)]
    trained = np.exp(np.mean(np.log(drawn), axis=0))
    assert trained == pytest.approx(size_of_square(apply(test, image)), rel=0.03)
