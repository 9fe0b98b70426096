import gc
import weakref

from mmengine.config import Config

from mmimbal.command_line import cpu_ranks


def test_starting_on_a_cpu_keeps_what_the_config_says_of_ddp(monkeypatch):
    monkeypatch.setattr(cpu_ranks.dist, 'init_process_group', lambda backend: None)
    cfg = Config(
        dict(
            find_unused_parameters=True,
            model_wrapper_cfg=dict(broadcast_buffers=False),
        )
    )
    cpu_ranks.start_on_cpu(cfg)
    assert cfg.model_wrapper_cfg == dict(
        type='MMDistributedDataParallel',
        find_unused_parameters=True,
        broadcast_buffers=False,
        device_ids=None,
    )


def test_what_holds_the_group_is_freed_before_it_is_destroyed(monkeypatch):
    """DDP is in a cycle; if it held the group last, gloo could wait for ever."""

    class Holder:
        pass

    holder, freed = Holder(), []
    holder.itself, alive = holder, weakref.ref(holder)
    monkeypatch.setattr(cpu_ranks.dist, 'is_initialized', lambda: True)
    destroy = 'destroy_process_group'
    monkeypatch.setattr(cpu_ranks.dist, destroy, lambda: freed.append(alive() is None))
    gc.disable()  # it must not be freed by chance
    try:
        del holder
        cpu_ranks.end_on_cpu()
    finally:
        gc.enable()
    assert freed == [True]
