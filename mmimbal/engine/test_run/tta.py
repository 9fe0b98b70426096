"""Test-time augmentation: the mean of the scores of several views."""

from collections.abc import Sequence
from copy import deepcopy

from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner
from mmpretrain.models import AverageClsScoreTTA
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from mmimbal.files.dataset_config import innermost, name_of

FLIPS = tuple(dict(type='RandomFlip', prob=prob) for prob in (1.0, 0.0))
PLACES = ((0, 0), (1, 0), (0, 1), (1, 1), (0.5, 0.5))  # the corners, and the middle


class AverageScores(AverageClsScoreTTA):
    """MMPretrain's mean of scores, with the predicted label of these mean scores.

    The parent class keeps the label that was predicted for the first view.
    """

    def merge_preds(
        self, data_samples_list: list[tuple[DataSample, ...]]
    ) -> list[DataSample]:
        """Merge the samples of the views of each image into one."""
        merged = super().merge_preds(data_samples_list)
        for sample in merged:
            sample.set_pred_label(sample.pred_score.argmax(0, keepdim=True))
        return merged


def flips(pipeline: Sequence[dict]) -> list[dict]:
    """Return a pipeline that gives an image and its mirror image, as in MMPretrain."""
    *load, pack = pipeline
    return [*load, dict(type='TestTimeAug', transforms=[list(FLIPS), [pack]])]


def crops(pipeline: Sequence[dict]) -> list[dict]:
    """Return a pipeline that gives ten crops: the corners and the middle, and mirrored.

    They take the place of the last ``CenterCrop``, with its size. See section 4.1 of
    Krizhevsky et al. 2012, ImageNet Classification with Deep Convolutional Networks.

    Raises:
        ValueError: If there is no ``CenterCrop``.
    """
    names = [name_of(each) for each in pipeline]
    if 'CenterCrop' not in names:
        raise ValueError(
            'views of crops need a CenterCrop in the pipeline of test images, whose '
            f'transforms are {", ".join(names)}'
        )
    place = len(names) - 1 - names[::-1].index('CenterCrop')
    size = pipeline[place]['crop_size']
    parts = [dict(type='mmimbal.CropAt', crop_size=size, x=x, y=y) for x, y in PLACES]
    after = [[each] for each in pipeline[place + 1 :]]
    views = dict(type='TestTimeAug', transforms=[parts, list(FLIPS), *after])
    return [*pipeline[:place], views]


VIEWS = dict(flips=flips, crops=crops)
OF_CONFIG = 'config'


def load_views(cfg: Config, views: str = OF_CONFIG) -> None:
    """Change a config so that the test set gives several views of each image.

    Args:
        cfg: The config.
        views: ``'flips'``, ``'crops'``, or ``'config'``: those of its ``tta_pipeline``;
            without it, flips.

    Raises:
        ValueError: If the test set has no pipeline, or it has no ``CenterCrop`` for
            crops.
    """
    dataset = innermost(cfg.test_dataloader.dataset, 'pipeline')
    if not dataset.get('pipeline'):
        raise ValueError(
            'test-time augmentation needs test_dataloader.dataset.pipeline, but '
            f'{dataset.get("type")} has none'
        )
    if views != OF_CONFIG:
        cfg.pop('tta_model', None)  # it may be made for other views
        cfg.tta_pipeline = VIEWS[views](dataset.pipeline)
    elif 'tta_pipeline' not in cfg:
        cfg.tta_pipeline = flips(dataset.pipeline)
    dataset.pipeline = deepcopy(cfg.tta_pipeline)


def average_views(runner: Runner) -> None:
    """Wrap the model of a runner so that it averages over views.

    The wrapper is ``tta_model`` of the config; without it, :class:`AverageScores`. Call
    this after loading weights, because it changes the keys of the model.
    """
    model = ConfigDict(runner.cfg.get('tta_model') or dict(type=AverageScores))
    runner.model = MODELS.build(model, default_args=dict(module=runner.model))
