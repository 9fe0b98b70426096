"""Test-time augmentation: the mean of what a model says of several views."""

from copy import deepcopy

from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner
from mmpretrain.models import AverageClsScoreTTA
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample


class AverageScores(AverageClsScoreTTA):
    """MMPretrain's mean of the scores of the views, with the label that fits it.

    The parent keeps the label that was predicted for the first view.
    """

    def merge_preds(
        self, data_samples_list: list[tuple[DataSample, ...]]
    ) -> list[DataSample]:
        """Return one sample for each image out of those of its views."""
        merged = super().merge_preds(data_samples_list)
        for sample in merged:
            sample.set_pred_label(sample.pred_score.argmax(0, keepdim=True))
        return merged


def load_views(cfg: Config) -> None:
    """Make the test set of a config give several views of each image.

    Those of ``tta_pipeline`` or, as in MMPretrain, the image and its mirror image.

    Raises:
        ValueError: If the test set has no pipeline.
    """
    dataset = cfg.test_dataloader.dataset
    while 'pipeline' not in dataset and 'dataset' in dataset:  # wrapped
        dataset = dataset.dataset
    if not dataset.get('pipeline'):
        raise ValueError(
            'test-time augmentation needs test_dataloader.dataset.pipeline, but '
            f'{dataset.get("type")} has none'
        )
    if 'tta_pipeline' not in cfg:
        *load, pack = dataset.pipeline
        flips = [dict(type='RandomFlip', prob=prob) for prob in (1.0, 0.0)]
        cfg.tta_pipeline = [
            *load,
            dict(type='TestTimeAug', transforms=[flips, [pack]]),
        ]
    dataset.pipeline = deepcopy(cfg.tta_pipeline)


def average_views(runner: Runner) -> None:
    """Make a runner average over the views of an image.

    By ``tta_model`` of its config; by the mean of the scores without one. Call this
    after weights were loaded, for the model's keys change.
    """
    model = ConfigDict(runner.cfg.get('tta_model') or dict(type=AverageScores))
    runner.model = MODELS.build(model, default_args=dict(module=runner.model))
