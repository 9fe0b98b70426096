"""Digits-LT: the digits that come with scikit-learn, made long-tailed."""

import numpy as np
from mmpretrain.datasets import BaseDataset

from mmimbal.datasets.long_tail import long_tail_counts
from mmimbal.datasets.spelling import SPLITS
from mmimbal.registry import DATASETS

VAL_PER_CLASS = 20
TEST_PER_CLASS = 50


@DATASETS.register_module()
class DigitsLT(BaseDataset):
    """The 1797 digits of scikit-learn, 8x8 pixels, with a long-tailed training split.

    Validation and test are balanced: 20 and 50 images per digit. Training counts fall
    exponentially from 104 images of digit 0 to ``104 / ratio`` of digit 9. The splits
    are always the same.

    Args:
        split: ``'train'``, ``'val'`` or ``'test'``.
        ratio: Images of the most common class divided by those of the rarest, >= 1.
        **kwargs: As in :class:`mmpretrain.datasets.BaseDataset`.

    Raises:
        ValueError: If the split is unknown, or the ratio leaves a class empty.
    """

    METAINFO = {'classes': tuple(str(digit) for digit in range(10))}  # noqa: RUF012

    def __init__(self, split: str, ratio: float = 50, **kwargs) -> None:
        if split not in SPLITS:
            raise ValueError(f'DigitsLT has no split {split!r}, only {SPLITS}')
        self.split = split
        self.ratio = ratio
        super().__init__(ann_file='', **kwargs)

    def load_data_list(self) -> list[dict]:
        """Return ``img`` (8, 8, 3), uint8, and ``gt_label`` of each digit."""
        # Imported here: it takes a second, and other data sets do not need it.
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = np.repeat((digits.images * 15).astype(np.uint8)[..., None], 3, axis=3)
        rows = [np.flatnonzero(digits.target == label) for label in range(10)]
        held_out = VAL_PER_CLASS + TEST_PER_CLASS
        max_count = min(map(len, rows)) - held_out
        counts = long_tail_counts(max_count, len(rows), self.ratio)
        selections = {
            'val': [slice(VAL_PER_CLASS)] * 10,
            'test': [slice(VAL_PER_CLASS, held_out)] * 10,
            'train': [slice(held_out, held_out + count) for count in counts],
        }[self.split]
        shuffle = np.random.default_rng(0).permutation
        return [
            dict(img=images[row], gt_label=label)
            for label, selection in enumerate(selections)
            for row in shuffle(rows[label])[selection]
        ]

    def extra_repr(self) -> list[str]:
        """Name the split and the ratio."""
        return [f'Split: \t{self.split}', f'Ratio: \t{self.ratio}']
