"""Check before training that a run gives its model what it needs."""

from collections.abc import Iterable
from operator import itemgetter

from mmengine.config import Config
from mmengine.dataset import default_collate
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner
from mmpretrain.engine import SwitchRecipeHook
from mmpretrain.models.utils import ClsDataPreprocessor
from torch import nn
from torch.utils.data import Dataset

from mmimbal.datasets.views import makes_separate_views, number_of_views
from mmimbal.engine.checks.head_loss import check_loss_of_head, owner_of_loss
from mmimbal.engine.ddp import unwrap_model
from mmimbal.models.multi_view import MultiViewDataPreprocessor
from mmimbal.models.needs import (
    ADVICE,
    CLASS_COUNTS,
    EPOCH,
    IMAGES,
    MIXTURES,
    ONE_LABEL,
    READS_VIEWS,
    SEPARATE_VIEWS,
    VIEWS,
    missing,
    needs_of,
)


def check_needs(runner: Runner) -> None:
    """Raise a ValueError that says what the model needs, and the run does not give.

    What this cannot see, such as the classifier of stage 1, the modules check
    themselves.
    """
    model = unwrap_model(runner.model)
    check_one_preprocessor(runner.cfg)
    check_images_are_known(model, runner.train_dataloader.dataset)
    given = given_by(runner, model)
    for need, module in needs_of(model).items():
        if need in ADVICE and need not in given:
            raise ValueError(missing(need, type(module).__name__))
    check_switched_losses(runner)
    check_no_average(runner.hooks, model)
    plain = type(model.data_preprocessor) is ClsDataPreprocessor
    views = number_of_views(runner.train_dataloader.dataset)
    if plain and views is not None and views > 1:
        raise ValueError(
            'the pipeline makes several views of an image, which ClsDataPreprocessor '
            f'cannot read: {READS_VIEWS}'
        )
    collate = runner.train_dataloader.collate_fn
    of_torch = getattr(collate, 'func', collate) is default_collate
    if of_torch and makes_separate_views(runner.train_dataloader.dataset):
        raise ValueError(
            'default_collate cannot join images with one view and with several: set '
            "train_dataloader.collate_fn=dict(type='mmimbal.stack_images')"
        )


def check_switched_losses(runner: Runner) -> None:
    """Raise a ValueError if a loss that comes later does not fit the run.

    It may lack the class counts or the epoch, have another scale than the head, or lack
    Mixup; or images are mixed while the loss needs one label for each. Mixup that
    begins later needs labels that can be mixed.
    """
    given = given_by_hooks(runner.hooks)
    model = unwrap_model(runner.model)
    mixes = getattr(model.data_preprocessor, 'batch_augments', None) is not None
    owner = owner_of_loss(model)
    loss = getattr(owner, 'loss_module', None)
    for recipe in switched_recipes(runner):
        if 'batch_augments' in recipe:
            mixes = recipe['batch_augments'] is not None
            if mixes and not has_shares(model, runner.train_dataloader.dataset):
                raise ValueError(
                    'batch_augments of SwitchRecipeHook mix nothing if labels are '
                    'numbers: add to_onehot=True and num_classes to data_preprocessor'
                )
        if 'loss' in recipe:
            if isinstance(loss, nn.ModuleList):
                raise ValueError(
                    f'{type(owner).__name__} has a loss for each expert, which loss of '
                    'SwitchRecipeHook cannot replace: remove it'
                )
            loss = recipe['loss']
            check_loss_of_head(loss, owner)
        needs = needs_of(loss) if loss is not None else {}
        by_hand = getattr(needs.get(CLASS_COUNTS), 'class_counts', None) is not None
        lacks = {CLASS_COUNTS, EPOCH} - given - ({CLASS_COUNTS} if by_hand else set())
        if mixes:
            lacks.add(ONE_LABEL)
        elif 'loss' in recipe:  # mixing may end before the loss does
            lacks.add(MIXTURES)
        for need in sorted(lacks & needs.keys()):
            raise ValueError(missing(need, type(needs[need]).__name__))


def has_shares(model: nn.Module, dataset: Dataset) -> bool:
    """Return whether labels are shares of the classes, which can be mixed."""
    if getattr(model.data_preprocessor, 'to_onehot', True):
        return True
    return hasattr(dataset, 'get_data_info') and 'gt_score' in dataset.get_data_info(0)


def switched_recipes(runner: Runner) -> list[dict]:
    """Return what SwitchRecipeHooks will change, the first change first."""
    hooks = (hook for hook in runner.hooks if isinstance(hook, SwitchRecipeHook))
    recipes = (each for hook in hooks for each in hook.schedule.items())
    # A resumed run has those of its first epochs already.
    done = runner.epoch if getattr(runner, '_resume', False) else 0
    return [r for epoch, r in sorted(recipes, key=itemgetter(0)) if epoch > done]


def check_one_preprocessor(cfg: Config) -> None:
    """Raise a ValueError if a data preprocessor hides the mean of another one."""
    outer = cfg.get('data_preprocessor') or {}
    inner = (cfg.get('model') or {}).get('data_preprocessor') or {}
    is_hidden = isinstance(inner, dict) and inner and inner.get('mean') is None
    if is_hidden and outer.get('mean') is not None:
        raise ValueError(
            'the config has data_preprocessor at top level, with a mean, and '
            'model.data_preprocessor, without one, which is used: images would not be '
            'normalized. Keep one of them, with all arguments'
        )


def check_no_average(hooks: Iterable[Hook], model: nn.Module) -> None:
    """Raise a ValueError if weights that are set in training would be averaged."""
    setting = [m for m in model.modules() if getattr(m, 'sets_weights', False)]
    if setting and any(isinstance(hook, EMAHook) for hook in hooks):
        raise ValueError(
            f'{type(setting[0]).__name__} sets its weights after the first epoch, but '
            'EMAHook would average them with the random weights before: remove EMAHook'
        )


def check_images_are_known(model: nn.Module, dataset: Dataset) -> None:
    """Raise a ValueError if a head takes different images for views of one image."""
    head = getattr(model, 'head', None)
    is_used = getattr(getattr(head, 'metric_weight', None), 'start', 1)
    while dataset is not None and is_used and 'images' in getattr(head, 'gives', ()):
        if hasattr(dataset, 'datasets'):
            raise ValueError(
                f'{type(dataset).__name__} joins data sets whose images have the same '
                f'sample_idx, by which {type(head).__name__} knows views of one image: '
                'join their index files instead'
            )
        dataset = getattr(dataset, 'dataset', None)


def given_by_hooks(hooks: Iterable[Hook]) -> set[str]:
    """Return what hooks give to the model; each says it in its ``gives``."""
    return {need for hook in hooks for need in getattr(hook, 'gives', ())}


def given_by(runner: Runner, model: nn.Module) -> set[str]:
    """Return what a run gives to its model."""
    given = given_by_hooks(runner.hooks)
    modules = [each for each in model.modules() if hasattr(each, 'class_counts')]
    if all(each.class_counts is not None for each in modules):  # set by hand
        given.add(CLASS_COUNTS)
    preprocessor, batches = model.data_preprocessor, runner.train_dataloader
    mixes = getattr(preprocessor, 'batch_augments', None) is not None
    given.add(MIXTURES if mixes else ONE_LABEL)
    has_views = isinstance(preprocessor, MultiViewDataPreprocessor)
    if has_views and number_of_views(batches.dataset) != 1:  # None: not known
        given.add(VIEWS)
    if has_views and makes_separate_views(batches.dataset):
        given.add(SEPARATE_VIEWS)
    if has_views or getattr(batches.batch_sampler, 'batch_size', 2) > 1:
        given.add(IMAGES)
    return given
