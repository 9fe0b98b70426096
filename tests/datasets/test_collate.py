import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner
from mmpretrain.models.utils import ClsDataPreprocessor
from mmpretrain.structures import DataSample
from torch.utils.data import DataLoader

from mmimbal.datasets import stack_images
from tests.conftest import CONFIGS


def items_of(*sizes: int) -> list[dict]:
    return [
        dict(
            inputs=torch.randint(0, 256, (3, size, size), dtype=torch.uint8),
            data_samples=DataSample().set_gt_label(label),
        )
        for label, size in enumerate(sizes)
    ]


@pytest.mark.parametrize('inherited', [{}, dict(_scope_='mmimbal')])
def test_a_config_names_it(inherited):
    """Also one that is inherited as mmimbal::..., where mmengine adds the scope."""
    cfg = Config.fromfile(CONFIGS / 'digits_lt/stage1_ce.py').train_dataloader
    cfg.collate_fn = dict(type='mmimbal.stack_images', **inherited)
    batch = next(iter(Runner.build_dataloader(cfg)))
    assert batch['inputs'].shape == (64, 3, 8, 8)


@pytest.mark.parametrize('sizes', [(8, 8, 8), (8, 4, 6)])
@pytest.mark.parametrize('workers', [0, 1])
def test_the_model_gets_the_same_bits(sizes, workers):
    preprocessor = ClsDataPreprocessor(
        mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], to_rgb=True
    )
    items = items_of(*sizes)
    loader = DataLoader(
        items, batch_size=3, num_workers=workers, collate_fn=stack_images
    )
    (batch,) = loader
    assert isinstance(batch['inputs'], torch.Tensor) == (len(set(sizes)) == 1)
    found = preprocessor(batch, training=True)
    expected = preprocessor(pseudo_collate(items), training=True)
    assert torch.equal(found['inputs'], expected['inputs'])
    labels = [sample.gt_label.item() for sample in found['data_samples']]
    assert labels == [0, 1, 2]


def test_views_are_stacked_one_by_one():
    items = items_of(4, 4)
    for item in items:
        item['inputs'] = [item['inputs'], item['inputs'][:, :2, :2]]
    large, small = stack_images(items)['inputs']
    assert large.shape == (2, 3, 4, 4) and torch.equal(small, large[:, :, :2, :2])


def test_loaders_of_images_on_disk_use_it():
    cfg = Config.fromfile(CONFIGS / 'isic/stage1_triplet.py')
    for split in ('train', 'val', 'test'):
        assert cfg[f'{split}_dataloader'].collate_fn.type == 'mmimbal.stack_images'
