from types import SimpleNamespace

import torch

from mmimbal.engine.hooks.training_groups_hook import TrainingGroupsHook


class OnGPU:
    """A tensor on a GPU, as a resumed run loads it: numpy() needs cpu() before."""

    def __init__(self, values):
        self.values = torch.tensor(values)

    def numpy(self):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def cpu(self):
        return self.values


def test_groups_of_a_checkpoint_on_a_gpu_are_added():
    hook = TrainingGroupsHook()
    for groups in ([5, 3], [3, 9]):
        meta = dict(training_groups=OnGPU(groups))
        hook.after_load_checkpoint(SimpleNamespace(), dict(meta=meta))
    checkpoint = dict(meta={})
    hook.before_save_checkpoint(SimpleNamespace(), checkpoint)
    assert checkpoint['meta']['training_groups'].tolist() == [3, 5, 9]
