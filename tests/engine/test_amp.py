import pytest
import torch

from mmimbal.command_line import run_config
from mmimbal.engine import amp
from tests.conftest import tiny_digits


def test_forward_runs_in_bfloat16_and_weights_stay_float32(tmp_path):
    cfg = tiny_digits('stage1_triplet', tmp_path)
    cfg.optim_wrapper.type = 'mmimbal.CPUAmpOptimWrapper'
    cfg.model.head.metric_loss = dict(type='mmimbal.ProxyAnchorLoss')
    seen = set()
    from mmengine.runner import Runner

    runner = Runner.from_cfg(cfg)
    head = runner.model.head
    runner.model.backbone.register_forward_hook(
        lambda m, i, out: seen.add(out[-1].dtype)
    )
    head.metric_loss.register_forward_hook(
        lambda m, i, out: seen.add((i[0].dtype, torch.is_autocast_enabled('cpu')))
    )
    start = head.metric_loss.proxies.detach().clone()
    runner.train()
    assert torch.bfloat16 in seen
    assert (torch.float32, False) in seen
    assert (torch.float32, True) not in seen
    assert {p.dtype for p in runner.model.parameters()} == {torch.float32}
    assert not head.metric_loss.proxies.equal(start)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('flags\t\t: fpu avx512f avx512_bf16 vnni\n', True),
        ('flags\t\t: fpu amx_bf16 amx_tile\n', True),
        ('Features\t: fp asimd bf16 sve\n', True),
        ('flags\t\t: fpu avx512f avx2 bf16x\n', False),
        ('model name\t: bf16\nflags\t\t: fpu\n', False),
        ('', False),
    ],
)
def test_bf16_is_that_of_the_cpu(tmp_path, monkeypatch, text, expected):
    (tmp_path / 'cpuinfo').write_text(text)
    monkeypatch.setattr(amp, 'CPU_INFO', tmp_path / 'cpuinfo')
    assert amp.has_bf16() is expected


def test_a_system_that_does_not_tell_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr(amp, 'CPU_INFO', tmp_path / 'nowhere')
    assert amp.has_bf16() is False


@pytest.mark.parametrize(
    ('flag', 'slower', 'said_because'),
    [(True, False, None), (True, True, 'is slower with it'), (False, False, 'has no')],
)
def test_the_flag_is_used_only_where_it_helps(
    tmp_path, monkeypatch, flag, slower, said_because
):
    has = said_because is None
    monkeypatch.setattr(run_config, 'has_bf16', lambda: flag)
    monkeypatch.setattr(run_config, 'is_slower_in_bf16', lambda: slower)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    said = []
    monkeypatch.setattr(run_config, 'print_log', lambda line, logger: said.append(line))
    cfg = tiny_digits('stage1_triplet', tmp_path)
    run_config.use_amp(cfg)
    wrapper = cfg.optim_wrapper.get('type')
    assert wrapper == ('mmimbal.CPUAmpOptimWrapper' if has else None)
    assert len(said) == (not has)
    assert has or (said[0].startswith('--amp: this CPU') and said_because in said[0])


@pytest.mark.parametrize('slow', [torch.bfloat16, torch.float32])
def test_the_slower_type_is_found_by_time(monkeypatch, slow):
    now = [0.0]

    def convolution(image, kernel):
        now[0] += 2.0 if image.dtype == slow else 1.0

    monkeypatch.setattr(torch, 'conv2d', convolution)
    monkeypatch.setattr(amp.time, 'perf_counter', lambda: now[0])
    assert amp.is_slower_in_bf16() is (slow == torch.bfloat16)


@pytest.mark.parametrize('compiler', ['no-such-compiler', 'python3', 'python3 -O'])
def test_without_a_compiler_the_model_is_not_compiled(tmp_path, monkeypatch, compiler):
    monkeypatch.setenv('CXX', compiler)
    said = []
    monkeypatch.setattr(run_config, 'print_log', lambda line, logger: said.append(line))
    cfg = tiny_digits('stage1_triplet', tmp_path)
    run_config.drop_compile_without_compiler(cfg)
    assert 'compile' not in cfg and not said
    cfg.compile = True
    run_config.drop_compile_without_compiler(cfg)
    exists = compiler.startswith('python3')
    assert cfg.compile is exists and len(said) == (not exists)
