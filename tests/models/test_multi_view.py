import pytest
import torch
from mmengine.dataset import default_collate, pseudo_collate
from mmpretrain.registry import TRANSFORMS
from mmpretrain.structures import DataSample

from mmimbal.registry import MODELS

MEAN, STD = [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]


@pytest.fixture
def preprocessor():
    return MODELS.build(
        dict(type='mmimbal.MultiViewDataPreprocessor', mean=MEAN, std=STD, to_rgb=True)
    )


def normalised(image: torch.Tensor) -> torch.Tensor:
    image = image.flip(0).float()
    return (image - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[
        :, None, None
    ]


@pytest.mark.parametrize('collate', [default_collate, pseudo_collate])
def test_views_become_one_batch_view_by_view(preprocessor, collate):
    images = torch.randint(0, 256, (3, 2, 3, 4, 4), dtype=torch.uint8)  # 3 of 2 views
    items = [
        dict(inputs=list(views), data_samples=DataSample().set_gt_label(number))
        for number, views in enumerate(images)
    ]
    batch = preprocessor(collate(items), training=True)
    expected = [normalised(images[n, v]) for v in range(2) for n in range(3)]
    torch.testing.assert_close(batch['inputs'], torch.stack(expected))
    labels = [sample.gt_label.item() for sample in batch['data_samples']]
    assert labels == [0, 1, 2, 0, 1, 2]
    assert len({id(sample) for sample in batch['data_samples']}) == 6


@pytest.mark.parametrize('collate', [default_collate, pseudo_collate])
def test_single_images_pass_as_in_mmpretrain(preprocessor, collate):
    images = torch.randint(0, 256, (3, 3, 4, 4), dtype=torch.uint8)
    items = [dict(inputs=i, data_samples=DataSample().set_gt_label(0)) for i in images]
    batch = preprocessor(collate(items))
    torch.testing.assert_close(
        batch['inputs'], torch.stack([normalised(image) for image in images])
    )
    assert len(batch['data_samples']) == 3


def test_it_takes_what_multi_view_makes(preprocessor):
    pipeline = [
        TRANSFORMS.build(cfg)
        for cfg in (
            dict(
                type='MultiView',
                num_views=2,
                transforms=[[dict(type='RandomCrop', crop_size=4)]],
            ),
            dict(type='PackInputs'),
        )
    ]
    items = []
    for label in range(3):
        item = dict(img=torch.rand(8, 8, 3).numpy(), gt_label=label)
        for transform in pipeline:
            item = transform(item)
        items.append(item)
    batch = preprocessor(pseudo_collate(items))
    assert batch['inputs'].shape == (6, 3, 4, 4)
    assert not batch['inputs'][0].equal(batch['inputs'][3])


@pytest.mark.parametrize('collate', [default_collate, pseudo_collate])
def test_one_view_is_a_batch_too(preprocessor, collate):
    image = torch.randint(0, 256, (3, 4, 4), dtype=torch.uint8)
    items = [dict(inputs=[image], data_samples=DataSample().set_gt_label(0))] * 2
    batch = preprocessor(collate(items))
    torch.testing.assert_close(batch['inputs'], torch.stack([normalised(image)] * 2))


@pytest.mark.parametrize('collate', [default_collate, pseudo_collate])
def test_smaller_views_are_padded_as_in_mmpretrain(preprocessor, collate):
    views = [
        torch.randint(0, 256, (3, size, size), dtype=torch.uint8) for size in (4, 3)
    ]
    items = [dict(inputs=views, data_samples=DataSample().set_gt_label(0))] * 2
    found = preprocessor(collate(items))['inputs']
    assert found.shape == (4, 3, 4, 4)
    torch.testing.assert_close(found[2, :, :3, :3], normalised(views[1]))
    assert not found[2:, :, 3].any() and not found[2:, :, :, 3].any()
