"""Class activation maps: where in an image a model sees a class."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import nn

from mmimbal.models.heads import KNNClsHead


def class_activation_maps(
    model: BaseModel, inputs: torch.Tensor, classes: torch.Tensor
) -> torch.Tensor:
    """Return the map of one class for each image, (N, h, w), in 0..1.

    It is Grad-CAM (https://arxiv.org/abs/1610.02391) on the last feature map of the
    backbone: channels are weighted by the mean gradient of the logit, and negative sums
    are 0. For a linear head after global average pooling, weights are those of the
    class (CAM, https://arxiv.org/abs/1512.04150). The highest value of each map is 1,
    unless nothing speaks for the class. An ensemble has the mean map of its members.

    Args:
        model: A classifier of MMPretrain or an ensemble, in eval mode.
        inputs: Images, (N, C, H, W), normalized.
        classes: Class of each, (N,).

    Raises:
        ValueError: If the backbone has no feature map, the logits have no gradient, or
            members have maps of different sizes.
    """
    members = getattr(model, 'members', [model])
    maps = [_maps_of(member, inputs, classes) for member in members]
    if len({each.shape for each in maps}) > 1:
        raise ValueError('the feature maps of the members have different sizes')
    return torch.stack(maps).mean(0)


def _maps_of(
    model: BaseModel, inputs: torch.Tensor, classes: torch.Tensor
) -> torch.Tensor:
    with torch.no_grad():
        *earlier, features = model.extract_feat(inputs, stage='backbone')
    if features.dim() != 4:
        raise ValueError(
            f'{type(model.backbone).__name__} has no feature map (N, C, H, W), but an '
            f'output of shape {tuple(features.shape)}: there is no class activation map'
        )
    features.requires_grad_()
    with torch.enable_grad():
        feats = (*earlier, features.clone())  # the neck may work in place
        feats = model.neck(feats) if model.with_neck else feats
        scores = scores_of(model.head, feats, classes)
        (gradient,) = torch.autograd.grad(scores.sum(), features)
    weights = gradient.mean((2, 3), keepdim=True)
    maps = (weights * features.detach()).sum(1).clamp(min=0)
    highest = maps.amax((1, 2), keepdim=True)
    return maps / torch.where(highest > 0, highest, 1)


def scores_of(
    head: nn.Module, feats: tuple[torch.Tensor], classes: torch.Tensor
) -> torch.Tensor:
    """Return what speaks for one class in each image, (N,): its logit.

    The votes of a nearest-neighbour head have no gradient. Instead, the cosines of the
    neighbours that vote for the class are added.
    """
    if not isinstance(head, KNNClsHead):
        return head(feats).gather(1, classes[:, None])[:, 0]
    cosines = F.normalize(head.pre_logits(feats)) @ head.features.T
    nearest = cosines.topk(head.k)
    votes = head.labels[nearest.indices] == classes[:, None]
    return (nearest.values * votes).sum(1)
