"""How images become a batch."""

from mmengine.dataset import default_collate, pseudo_collate

from mmimbal.registry import FUNCTIONS


@FUNCTIONS.register_module()
def stack_images(items: list[dict], _scope_: str | None = None) -> dict:
    """Make one tensor of the images of a batch, if they are of one size.

    A worker hands over one tensor far sooner than the list that mmengine makes by
    default, and a GPU normalises it at once. The batch is the same.

    Args:
        items: Of a dataset: ``inputs``, (C, H, W) or a list of V views, and
            ``data_samples``.
        _scope_: Of an inherited config; mmengine hands it over.

    Returns:
        ``inputs``, (N, C, H, W) or a list of V of them, and ``data_samples``, N of
        them. Of images of several sizes, what ``pseudo_collate`` returns.
    """
    views = [
        item['inputs'] if isinstance(item['inputs'], list) else [item['inputs']]
        for item in items
    ]
    of_one_size = all(
        len({image.shape for image in images}) == 1
        for images in zip(*views, strict=True)
    )
    return default_collate(items) if of_one_size else pseudo_collate(items)
