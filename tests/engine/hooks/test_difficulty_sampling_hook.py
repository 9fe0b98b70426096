import numpy as np
import pytest
import torch

from mmimbal.engine.hooks import DifficultySamplingHook
from mmimbal.files.checkpoint import load_from_local
from tests.conftest import tiny_digits, train


def config(work_dir, **options):
    cfg = tiny_digits('stage1_ce', work_dir, train_cfg__max_epochs=3, **options)
    cfg.train_dataloader.sampler = dict(type='mmimbal.ClassBalancedSampler')
    cfg.custom_hooks = [
        dict(type='mmimbal.DifficultySamplingHook', strength=2, floor=0.2)
    ]
    return cfg


def test_weights_follow_from_recall(tmp_path):
    runner = train(config(tmp_path))
    sampler = runner.train_dataloader.sampler
    assert [epoch for epoch, _ in sampler.weights] == [0, 1, 2, 3]
    history = runner.message_hub.log_scalars
    for number, (_, weights) in enumerate(sampler.weights[1:]):
        recalls = [
            history[f'val/recall/{label}'].data[0][number] / 100 for label in range(10)
        ]
        expected = (1 - np.array(recalls) + 0.2) ** 2
        assert weights == pytest.approx(expected / expected.mean())
    assert sampler.quotas(3).tolist() != sampler.quotas(0).tolist()


@pytest.mark.parametrize('resume_from', [1, 2])
def test_resumed_run_draws_what_an_unbroken_one_draws(tmp_path, resume_from):
    """From a checkpoint as it is written, before the validation of its epoch."""
    whole = train(config(tmp_path / 'whole')).train_dataloader.sampler
    path = tmp_path / 'whole' / f'epoch_{resume_from}.pth'
    checkpoint = load_from_local(path)
    weights = checkpoint['meta']['class_weights']
    checkpoint['meta']['class_weights'] = [w for w in weights if w[0] < resume_from]
    checkpoint['message_hub']['runtime_info'].pop('epoch_validated', None)
    torch.save(checkpoint, path)
    cfg = config(tmp_path / 'parts', resume=True, load_from=str(path))
    resumed = train(cfg).train_dataloader.sampler
    assert [epoch for epoch, _ in resumed.weights] == [0, 1, 2, 3]  # each once
    # The same weights up to the epoch of the break, so the same stream in it. (What
    # is learned there differs: augmentation is not resumed.)
    assert resumed.weights[: resume_from + 1] == whole.weights[: resume_from + 1]
    assert np.array_equal(resumed.draw(resume_from), whole.draw(resume_from))
    cfg.default_hooks.pop('resume')
    with pytest.raises(ValueError, match=r'to resume, add .*mmimbal\.ResumeHook'):
        train(cfg)


def test_weights_are_in_the_checkpoint(tmp_path):
    runner = train(config(tmp_path))
    meta = load_from_local(tmp_path / 'epoch_3.pth')['meta']
    saved = [tuple(item) for item in meta['class_weights']]
    assert saved == runner.train_dataloader.sampler.weights[: len(saved)]
    assert len(saved) >= 3


def test_other_samplers_are_an_error(tmp_path):
    cfg = config(tmp_path)
    cfg.train_dataloader.sampler = dict(type='DefaultSampler')
    with pytest.raises(TypeError, match='DefaultSampler has no class weights'):
        train(cfg)
    train(config(tmp_path))  # nor may a resumed run change to one
    cfg.resume, cfg.train_cfg.max_epochs = True, 4
    with pytest.raises(TypeError, match='DefaultSampler has no class weights'):
        train(cfg)


def test_a_second_stage_may_have_another_sampler(tmp_path):
    def two_stages(**options):
        cfg = tiny_digits('two_stage_triplet_crt', tmp_path, **options)
        cfg.train_cfg.max_epochs, cfg.default_hooks.two_stage.epoch = 3, 1
        cfg.train_dataloader.sampler = dict(type='mmimbal.ClassBalancedSampler')
        natural = dict(_delete_=True, type='DefaultSampler', shuffle=True)
        cfg.default_hooks.two_stage.stage2.train_dataloader.sampler = natural
        cfg.custom_hooks = [dict(type='mmimbal.DifficultySamplingHook')]
        return cfg

    train(two_stages())
    weights = [
        load_from_local(tmp_path / f'epoch_{n}.pth')['meta'].get('class_weights')
        for n in (1, 2, 3)
    ]
    assert weights[0] is not None and weights[1:] == [None, None]
    (tmp_path / 'epoch_3.pth').unlink()
    assert train(two_stages(resume=True)).epoch == 3


def test_weights_that_would_change_nothing_are_an_error(tmp_path):
    cfg = config(tmp_path)
    cfg.train_dataloader.batch_sampler = dict(type='mmimbal.PKBatchSampler', k=4)
    with pytest.raises(TypeError, match='natural_size=0 ignores class weights'):
        train(cfg)


def test_other_metrics_are_an_error(tmp_path):
    cfg = config(tmp_path, default_hooks__checkpoint__save_best=None)
    cfg.val_evaluator = dict(type='Accuracy')
    with pytest.raises(KeyError, match='ImbalanceMetric'):
        train(cfg)


@pytest.mark.parametrize('options', [dict(strength=-1), dict(floor=0)])
def test_bad_options_are_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        DifficultySamplingHook(**options)


def test_without_validation_there_is_nothing_to_weigh_by(tmp_path):
    cfg = config(tmp_path)
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.default_hooks.checkpoint.save_best = None
    with pytest.raises(ValueError, match='weighs classes by their validation recall'):
        train(cfg)


def test_a_loop_that_counts_iterations_is_refused(tmp_path):
    """Weights would change inside of an epoch, and a resumed run draw others."""
    cfg = config(tmp_path)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=4, val_interval=2)
    with pytest.raises(ValueError, match=r'use train_cfg\.by_epoch=True'):
        train(cfg)
