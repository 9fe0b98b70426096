"""Test-time augmentation: the mean of the scores of several views."""

from copy import deepcopy

from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner
from mmpretrain.models import AverageClsScoreTTA
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample


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


def load_views(cfg: Config) -> None:
    """Change a config so that the test set gives several views of each image.

    The views are those of ``tta_pipeline``. Without it, they are the image and its
    mirror image, as in MMPretrain.

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
    """Wrap the model of a runner so that it averages over views.

    The wrapper is ``tta_model`` of the config; without it, :class:`AverageScores`. Call
    this after loading weights, because it changes the keys of the model.
    """
    model = ConfigDict(runner.cfg.get('tta_model') or dict(type=AverageScores))
    runner.model = MODELS.build(model, default_args=dict(module=runner.model))
