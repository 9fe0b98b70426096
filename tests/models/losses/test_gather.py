import pytest
import torch
from mmpretrain.structures import DataSample
from torch import nn

from mmimbal.registry import MODELS
from tests.distributed import run_on_ranks

LABELS = [0, 1, 2, 0, 1, 2, 0, 0]


def gradients(metric_loss: dict, part: slice, model=None) -> dict[str, torch.Tensor]:
    """Return the gradients of a small net with a metric head on a part of a batch."""
    torch.manual_seed(0)
    net = nn.Linear(6, 8)
    head = MODELS.build(
        dict(
            type='mmimbal.MetricLearningClsHead',
            num_classes=3,
            in_channels=8,
            embedding_size=4,
            metric_loss=metric_loss,
        )
    )
    head.init_weights()
    for parameter in head.parameters():
        parameter.data = parameter.data.clone()
    images = torch.randn(len(LABELS), 6)[part]
    samples = [DataSample().set_gt_label(label) for label in LABELS[part]]
    module = Pair(net, head)
    if torch.distributed.is_initialized():
        module = nn.parallel.DistributedDataParallel(module)
    losses = module(images, samples)
    (losses['loss_cls'] + losses['loss_metric']).backward()
    return {
        key.removeprefix('module.'): p.grad.clone()
        for key, p in module.named_parameters()
    } | {'loss_metric': losses['loss_metric'].detach()}


class Pair(nn.Module):
    def __init__(self, net, head):
        super().__init__()
        self.net, self.head = net, head

    def forward(self, images, samples):
        return self.head.loss((self.net(images),), samples)


def gradients_of_rank(rank: int, metric_loss: dict) -> dict[str, torch.Tensor]:
    return gradients(metric_loss, slice(4 * rank, 4 * rank + 4))


@pytest.mark.parametrize(
    'metric_loss',
    [
        dict(type='mmimbal.TripletMarginLoss', margin=0.5),
        dict(type='mmimbal.SupConLoss'),
        dict(type='mmimbal.ProxyAnchorLoss'),
    ],
    ids=lambda cfg: cfg['type'],
)
def test_two_ranks_have_the_gradients_of_one_process(metric_loss):
    whole = gradients(metric_loss, slice(None))
    for found in run_on_ranks(2, gradients_of_rank, metric_loss):
        assert found.keys() == whole.keys()
        for key, value in found.items():
            torch.testing.assert_close(value, whole[key], rtol=1e-5, atol=1e-6)
