"""Every way of stage 1 trains a step, and what it learns can be published."""

import pytest
import torch
from mmengine.runner import Runner
from mmpretrain.registry import MODELS

from mmimbal.command_line.compose import load_experiment
from mmimbal.command_line.experiment import words_of
from mmimbal.inference.for_inference import inference_checkpoint, inference_config
from tests.conftest import TINY


def after_a_step(word, work_dir, **options):
    """Return the runner after the first training step."""
    cfg = load_experiment(f'digits_lt/digits/{word}')
    cfg.merge_from_dict(
        {**TINY, **{k.replace('__', '.'): v for k, v in options.items()}}
    )
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = word
    runner = Runner.from_cfg(cfg)
    step = runner.model.train_step

    def one_step(*args, **kwargs):
        runner.losses = step(*args, **kwargs)
        raise KeyboardInterrupt

    runner.model.train_step = one_step
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    return runner


@pytest.mark.parametrize(
    ('word', 'options'),
    [
        *((word, {}) for word in words_of('stage1')),
        ('triplet', dict(model__head__cosine_scale=16)),
    ],
)
def test_it_trains_a_step_and_is_published(word, options, tmp_path):
    runner = after_a_step(word, tmp_path, **options)
    assert runner.losses['loss'].isfinite()
    dataset = runner.train_dataloader.dataset
    checkpoint = dict(
        state_dict=runner.model.state_dict(), meta=dict(dataset_meta=dataset.metainfo)
    )
    cfg = inference_config(runner.cfg)
    published = MODELS.build(cfg.model)
    found = inference_checkpoint(checkpoint, cfg)['state_dict']
    published.load_state_dict(found, strict=False)
    own = {key for key in found if key.startswith('head')}
    assert own == {f'head.{key}' for key in published.head.state_dict()}
    images = torch.rand(3, 3, 16, 16)
    models = (runner.model.eval(), published.eval())
    with torch.no_grad():
        logits = [model.head(model.extract_feat(images)) for model in models]
    assert logits[0].shape == (3, 10)
    torch.testing.assert_close(*logits)


def test_a_base_may_change_the_optimizer(tmp_path):
    """Weight balancing decays more, and the centres of centre loss not at all."""
    usual, balanced, centre = (
        load_experiment(f'digits_lt/digits/{word}')
        for word in ('ce', 'max_norm', 'centre')
    )
    decay = usual.optim_wrapper.optimizer.weight_decay
    assert balanced.optim_wrapper.optimizer.weight_decay == 5e-3 != decay
    runner = after_a_step('centre', tmp_path)
    names = {id(p): name for name, p in runner.model.named_parameters()}
    decays = {
        names[id(p)]: group['weight_decay']
        for group in runner.optim_wrapper.optimizer.param_groups
        for p in group['params']
    }
    assert decays.pop('head.metric_loss.centres') == 0
    assert set(decays.values()) == {centre.optim_wrapper.optimizer.weight_decay}
    stage2 = load_experiment('digits_lt/digits/max_norm/crt')
    assert stage2.optim_wrapper.optimizer.weight_decay != 5e-3
