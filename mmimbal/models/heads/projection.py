"""The projection from features to embeddings."""

from torch import nn


def build_projection(
    in_channels: int,
    embedding_size: int | None,
    hidden_size: int | None = None,
    batch_norm: bool = False,
) -> nn.Module:
    """Build a projection: linear, batch normalization, ReLU, linear.

    Args:
        in_channels: Size of the features.
        embedding_size: Size of the embeddings; ``None`` for no projection.
        hidden_size: Size of the hidden layer; ``in_channels`` if ``None``.
        batch_norm: Whether the hidden layer has batch normalization.

    Raises:
        ValueError: If a size is below 1, or there is a hidden layer without
            ``embedding_size``.
    """
    for name, size in (
        ('embedding_size', embedding_size),
        ('hidden_size', hidden_size),
    ):
        if size is not None and size < 1:
            raise ValueError(f'{name}={size} must be at least 1, or None')
    if embedding_size is None:
        if hidden_size or batch_norm:
            raise ValueError(
                f'hidden_size={hidden_size} and batch_norm={batch_norm} are for a '
                'projection: set embedding_size'
            )
        return nn.Identity()
    hidden_size = hidden_size or in_channels
    layers = [nn.Linear(in_channels, hidden_size, bias=not batch_norm)]
    if batch_norm:
        layers.append(nn.BatchNorm1d(hidden_size))
    layers += [nn.ReLU(inplace=True), nn.Linear(hidden_size, embedding_size)]
    return nn.Sequential(*layers)
