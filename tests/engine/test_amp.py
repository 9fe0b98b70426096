import torch

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
