"""Configs for inference of models that are not ours."""

import pytest
from mmengine.config import Config
from mmpretrain.models import LinearClsHead

from mmimbal.inference.for_inference import inference_config
from mmimbal.inference.predictor import published_hash

IMAGES = dict(dataset=dict(pipeline=[dict(type='PackInputs')]))
RESNET = dict(type='ResNet', depth=18)


@pytest.mark.parametrize(
    'model',
    [
        dict(type='TimmClassifier', model_name='resnet18', pretrained=True),
        dict(type='ImageClassifier', backbone=RESNET),
        dict(
            type='ImageClassifier',
            backbone=RESNET,
            head=dict(type=LinearClsHead, num_classes=3, in_channels=512),
        ),
    ],
    ids=['timm', 'without a head', 'a class as type'],
)
def test_what_mmpretrain_can_name_stays_as_it_is(model):
    cfg = Config(dict(model=model, test_dataloader=IMAGES))
    found = inference_config(cfg).model
    assert found == {k: v for k, v in model.items() if k != 'pretrained'}


def test_a_model_without_a_head_is_not_published():
    model = dict(type='ImageClassifier', backbone=RESNET)
    cfg = Config(dict(model=model, test_dataloader=IMAGES))
    assert published_hash(dict(state_dict={}), cfg) is None


@pytest.mark.parametrize(
    ('imports', 'published'),
    [
        (dict(imports='my_package'), ['my_package']),  # mmengine takes a text, too
        (dict(imports=['a', 'b']), ['a', 'b']),
        (dict(imports=None), None),
        (None, None),
    ],
)
def test_packages_to_import_stay(imports, published):
    model = dict(type='ImageClassifier', backbone=RESNET)
    cfg = Config(dict(model=model, test_dataloader=IMAGES, custom_imports=imports))
    found = inference_config(cfg).get('custom_imports')
    assert found == (published and dict(imports=published))
