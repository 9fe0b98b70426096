"""What will be written of a download: names, groups, splits."""

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from mmimbal.datasets.rare_classes import describe_uneven
from mmimbal.datasets.sources.file_names import check_names, file_names
from mmimbal.datasets.sources.plan_splits import (
    check_folds,
    describe_rare,
    folds_beside_test,
    with_calibration,
    with_validation,
)
from mmimbal.datasets.sources.source import Image, Source
from mmimbal.datasets.sources.unsure import related_names
from mmimbal.datasets.spelling import SPLITS
from mmimbal.datasets.splits import (
    check_groups,
    content_hash,
    folds_by_group,
    join_groups,
    split_by_group,
)

OF_DOWNLOAD = 'of the download'  # origin of a split, in dataset.json


@dataclass(frozen=True)
class Plan:
    """A download, and how it is split.

    Attributes:
        source: The download.
        names: Path of each image, relative to ``images/``.
        groups: Group of each image.
        columns: Split of each image, by the name of the column.
        origin_of_split: Where the splits are from.
        warnings: Sentences about splits that are not as wanted.
    """

    source: Source
    names: Sequence[str]
    groups: Sequence[str]
    columns: Mapping[str, Sequence[str]]
    origin_of_split: str
    warnings: Sequence[str]

    @property
    def counts(self) -> dict[str, Counter]:
        """Number of images per class, by split."""
        return _count(self.source.images, self.columns['split'])


def plan_dataset(
    source: Source,
    seed: int = 0,
    split: str = 'official',
    folds: int = 0,
    keep_test: bool = False,
    calibration: float = 0.0,
) -> Plan:
    """Split the images of a download.

    Args:
        source: The download.
        seed: Seed of the splits that are made here.
        split: ``'official'`` keeps the split that came with the images, if there
            is one. ``'group'`` makes a new one: 70/10/20, stratified by class and
            grouped. Groups that share an identical image stay together.
        folds: Number of cross-validation folds, added as columns ``fold0``, ``fold1``,
            ...
        keep_test: Whether all folds have the test images of the split: the members of
            an ensemble are trained on folds of the other images. Fold k validates on
            one part of them.
        calibration: Share of the training images that become a split of their own,
            ``cal``, without groups in both: to calibrate a trained model.

    Raises:
        FileNotFoundError: If an image is missing.
        ValueError: If there is one class only, a group is in two splits, only some
            images have a split, a class has no training image, or an image is listed
            twice.
    """
    images = source.images
    if len({image.label for image in images}) == 1:
        raise ValueError(
            f'the only class is {images[0].label}, and a classifier needs two. Folders '
            'hold one folder of images per class, perhaps below train/, val/ and test/'
        )
    for image in images:
        check_exists(image)
    names = file_names(images)
    check_names(images, names)
    groups = [image.group or name for image, name in zip(images, names, strict=True)]
    labels = np.array([source.classes.index(image.label) for image in images])
    made_here = f'stratified by class, grouped, scikit-learn, seed {seed}'
    is_official = split == 'official' and any(image.split for image in images)
    joined_groups, warnings = groups, []
    has_validation = any(image.split == 'val' for image in images)
    if folds or calibration or not (is_official and has_validation):
        joined_groups = join_groups(groups, _contents(images))
    if is_official:
        splits = [image.split for image in images]
        origin_of_split = source.origin_of_split or OF_DOWNLOAD
        _check_all_have_a_split(names, splits)
        check_groups(groups, splits, '. Correct them, or use --split group')
        if 'cal' in splits and calibration:
            raise ValueError(
                'the index has a split cal already: leave out --calibration, or use '
                '--split group'
            )
        if 'cal' in splits and folds and not keep_test:
            raise ValueError(
                'the index has a split cal: --folds needs --keep-test, or folds would '
                'train on its images'
            )
        if keep_test and 'test' not in splits:
            raise ValueError(
                'the split has no test images to keep: use --split group, or leave out '
                '--keep-test'
            )
        if not has_validation:
            splits, warnings = with_validation(labels, joined_groups, splits, seed)
            if 'val' in splits:
                origin_of_split += f'; val is a part of train, {made_here}'
        if 'test' not in splits:
            warnings = [*warnings, 'there are no test images: use --split group']
    else:
        made = split_by_group(labels, joined_groups, seed)
        warnings = describe_uneven(
            labels, np.array(joined_groups), made, source.classes
        )
        splits = made.tolist()
        origin_of_split = f'70/10/20, {made_here}'
    if calibration:
        before = splits.count('train')
        splits, uneven = with_calibration(
            labels, joined_groups, splits, calibration, seed, source.classes
        )
        warnings = [*warnings, *uneven]
        share = splits.count('cal') / before
        origin_of_split += f'; cal is {share:.1%} of train, {made_here}'
    columns = dict(split=splits)
    if folds:
        if keep_test:
            by_fold = folds_beside_test(labels, joined_groups, splits, folds, seed)
            origin_of_split += '; test is that of the split in all folds'
        else:
            by_fold = folds_by_group(labels, joined_groups, folds, seed)
        check_folds(by_fold)
        warnings = [
            *warnings,
            *describe_rare(labels, joined_groups, by_fold, source.classes, keep_test),
        ]
        columns |= {f'fold{k}': fold.tolist() for k, fold in enumerate(by_fold)}
        origin_of_split += f'; {folds} folds, {made_here}'
    if not any(image.group for image in images):
        warnings = [*warnings, *related_names(names)]
    if 'val' not in splits:
        warnings = [
            *warnings,
            'there are no validation images: no class has enough groups for them. '
            'Train with --no-validate, or use --folds',
        ]
    empty = [image.path for image in images if not image.path.stat().st_size]
    if empty:
        warnings = [*warnings, f'{len(empty)} files are empty, the first is {empty[0]}']
    for column, cells in columns.items():
        check_groups(groups, cells)
        _count(images, cells, column)
    return Plan(source, names, groups, columns, origin_of_split, warnings)


def _check_all_have_a_split(names: Sequence[str], splits: Sequence[str | None]) -> None:
    if not all(splits):
        name = next(n for n, s in zip(names, splits, strict=True) if not s)
        raise ValueError(
            f'some images have a split and some have none, the first is {name}: '
            'give all a split, or use --split group'
        )


def _contents(images: Sequence[Image]) -> list[str]:
    """Return a hash of each image."""
    hashes = []
    for image in tqdm(images, 'comparing', disable=None):
        content = image.pixels().tobytes() if image.pixels else image.path.read_bytes()
        hashes.append(content_hash(content, str(image.path)))
    return hashes


def check_exists(image: Image) -> None:
    """Raise a FileNotFoundError if the file of an image is missing."""
    if not image.path.is_file():
        raise FileNotFoundError(
            f'image {image.path} is missing: complete the download, or remove its line'
        )


def _count(
    images: Sequence[Image], splits: Sequence[str], column: str = 'split'
) -> dict[str, Counter]:
    """Return the number of images per class, by split.

    Raises:
        ValueError: If a class has no training image.
    """
    counts: dict[str, Counter] = {split: Counter() for split in SPLITS}
    for image, split in zip(images, splits, strict=True):
        counts.setdefault(split, Counter())[image.label] += 1
    labels = {image.label for image in images}
    empty = sorted(name for name in labels if not counts['train'][name])
    if empty:
        near = difflib.get_close_matches(empty[0], labels - set(empty), 1, 0.7)
        raise ValueError(
            f'no image to train on for class {", ".join(empty)}'
            + (f' by {column}' if column != 'split' else '')
            + (f' (is it {near[0]}, misspelled?)' if near else '')
            + ': give the index a split column with some in train, use --split group, '
            'or another number of --folds'
        )
    return counts
