"""Class activation maps: where in an image a model sees a class."""

import torch
from mmengine.model import BaseModel
from mmpretrain.models import ImageClassifier


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
    sizes = {tuple(each.shape[1:]) for each in maps}
    if len(sizes) > 1:
        raise ValueError(
            f'the feature maps of the members have different sizes: {sorted(sizes)}'
        )
    return torch.stack(maps).mean(0)


def _maps_of(
    model: BaseModel, inputs: torch.Tensor, classes: torch.Tensor
) -> torch.Tensor:
    if not isinstance(model, ImageClassifier):
        raise ValueError(
            f'class activation maps need an ImageClassifier, got {type(model).__name__}'
        )
    with torch.no_grad():
        *earlier, features = model.extract_feat(inputs, stage='backbone')
    if not torch.is_tensor(features) or features.dim() != 4:
        raise ValueError(
            'class activation maps need a feature map, (N, C, H, W), but the output of '
            f'{type(model.backbone).__name__} is none'
        )
    features.requires_grad_()
    with torch.enable_grad():
        feats = (*earlier, features.clone())  # the neck may work in place
        if model.with_neck:
            feats = model.neck(feats)
        # Votes have no gradient: a head of votes has ``evidence`` besides.
        logits = getattr(model.head, 'evidence', model.head)(feats)
        if not logits.requires_grad:
            raise ValueError(
                'class activation maps need gradients, but the logits of '
                f'{type(model.head).__name__} have none'
            )
        of_class = logits.gather(1, classes[:, None]).sum()
        (gradient,) = torch.autograd.grad(of_class, features)
    weights = gradient.mean((2, 3), keepdim=True)
    maps = (weights * features.detach()).sum(1).clamp(min=0)
    highest = maps.amax((1, 2), keepdim=True)
    return maps / torch.where(highest > 0, highest, 1)
