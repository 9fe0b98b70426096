"""Whether a dataset is what it says, and whether its splits are apart."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from imagehash import phash
from PIL import Image
from tqdm import tqdm

from mmimbal.datasets.index_file import (
    check_paths,
    encode_labels,
    missing_files,
    read_classes,
    read_index,
    require_columns,
)
from mmimbal.datasets.verdict import hash_of

TINY = 10  # images of a class in a split
NEAR = 2  # of the 64 bits of a perceptual hash
EXAMPLES = 5
ORIENTATION = 274  # the EXIF tag


@dataclass(frozen=True)
class Finding:
    """Something that is wrong (``error``) or odd (``warning``).

    Attributes:
        level: ``'error'`` or ``'warning'``.
        what: What was found.
        count: How often.
        examples: The first few.
    """

    level: str
    what: str
    count: int
    examples: list[str]


@dataclass(frozen=True)
class Facts:
    """What is seen of one image.

    Attributes:
        error: Why it cannot be decoded; the rest is empty then.
        pixels: Hash of the decoded pixels.
        bits: Perceptual hash, 64 bits.
        size: Width and height, pixels.
        kind: Mode of the file in PIL's terms, such as ``'RGB'``.
        turned: Whether EXIF says that it is to be turned.
    """

    error: str = ''
    pixels: str = ''
    bits: np.ndarray | None = None
    size: tuple[int, int] = (0, 0)
    kind: str = ''
    turned: bool = False


def check_dataset(
    root: Path, processes: int | None = None, split_column: str = 'split'
) -> dict:
    """Check a folder with an ``index.csv``.

    Near duplicates are images in two splits whose perceptual hashes (DCT of the image
    at 32 x 32) differ in at most 2 of 64 bits; turned or mirrored ones are not found.

    Args:
        root: The folder.
        processes: That decode images; one per core if ``None``.
        split_column: Which column of the index says the split.

    Returns:
        ``index`` (hash of the index), ``split_column``, ``classes``, ``counts`` (of
        each split, (K,)), ``images``, ``findings``, a list of :class:`Finding` as
        dicts, and ``errors``, how many of those are errors.

    Raises:
        FileNotFoundError: If there is no index.
        ValueError: If the index itself is broken, or a label is no class.
    """
    index = root / 'index.csv'
    table = read_index(index)
    check_paths(table, index)
    classes = read_classes(index, table)
    labels = encode_labels(table, classes, index)
    files = table['file'].to_pylist()
    if split_column != 'split':
        require_columns(table.column_names, (split_column,), index)
    splits = np.array(
        table[split_column].to_pylist()
        if split_column in table.column_names
        else [''] * len(files)
    )
    groups = table['group'].to_pylist() if 'group' in table.column_names else files
    groups = [group or file for group, file in zip(groups, files, strict=True)]
    missing = set(missing_files(table, index))
    facts = list(look(root, files, missing, processes))
    findings = [
        *_broken(files, missing, facts),
        *_counts(labels, splits, classes),
        *_straddling(groups, splits),
        *_identical(files, labels, splits, facts),
        *_near(files, splits, facts),
        *_odd(files, facts),
    ]
    return dict(
        index=hash_of(index),
        split_column=split_column,
        classes=list(classes),
        counts={
            str(split): np.bincount(
                labels[splits == split], minlength=len(classes)
            ).tolist()
            for split in _ordered(splits)
        },
        images=len(files),
        errors=sum(finding.level == 'error' for finding in findings),
        findings=[asdict(finding) for finding in findings],
    )


def look(
    root: Path, files: Sequence[str], missing: set[str], processes: int | None = None
) -> Iterator[Facts]:
    """Decode all images on all cores; yield what is seen, in order."""
    paths = [root / file if file not in missing else None for file in files]
    with ProcessPoolExecutor(processes or os.cpu_count()) as pool:
        yield from tqdm(
            pool.map(look_at, paths, chunksize=64),
            'Images',
            len(paths),
            unit=' images',
            disable=None,
        )


def look_at(path: Path | None) -> Facts:
    """Return what is seen of an image; of ``None``, that it is missing."""
    if path is None:
        return Facts(error='missing')
    try:
        with Image.open(path) as image:
            image.load()
            pixels = hashlib.blake2b(image.tobytes(), digest_size=16)
            pixels.update(repr((image.size, image.mode)).encode())
            return Facts(
                pixels=pixels.hexdigest(),
                bits=np.packbits(phash(image.convert('L')).hash),
                size=image.size,
                kind=image.mode,
                turned=image.getexif().get(ORIENTATION, 1) != 1,
            )
    except Exception as error:  # decoders raise whatever they like
        return Facts(error=f'{type(error).__name__}: {error}')


def _finding(level: str, what: str, found: Sequence[str]) -> list[Finding]:
    if not len(found):
        return []
    return [Finding(level, what, len(found), [str(x) for x in found[:EXAMPLES]])]


def _broken(files: list[str], missing: set[str], facts: list[Facts]) -> list[Finding]:
    undecodable = [
        f'{file} ({fact.error})'
        for file, fact in zip(files, facts, strict=True)
        if fact.error and file not in missing
    ]
    return [
        *_finding('error', 'missing images', sorted(missing)),
        *_finding('error', 'images that cannot be decoded', undecodable),
    ]


def _counts(
    labels: np.ndarray, splits: np.ndarray, classes: tuple[str, ...]
) -> list[Finding]:
    findings = []
    for split in _ordered(splits):
        counts = np.bincount(labels[splits == split], minlength=len(classes))
        where = f' in {split}' if split else ''
        empty = [name for name, n in zip(classes, counts, strict=True) if not n]
        tiny = [
            f'{name} {n}'
            for name, n in zip(classes, counts, strict=True)
            if 0 < n < TINY
        ]
        level = 'error' if split in ('', 'train') else 'warning'
        findings += _finding(level, f'classes without images{where}', empty)
        findings += _finding(
            'warning', f'classes of fewer than {TINY} images{where}', tiny
        )
    return findings


def _straddling(groups: list[str], splits: np.ndarray) -> list[Finding]:
    seen: dict[str, set[str]] = {}
    for group, split in zip(groups, splits, strict=True):
        seen.setdefault(group, set()).add(str(split))
    return _finding(
        'error',
        'groups in more than one split',
        sorted(
            f'{group} ({", ".join(sorted(found))})'
            for group, found in seen.items()
            if len(found) > 1
        ),
    )


def _identical(
    files: list[str], labels: np.ndarray, splits: np.ndarray, facts: list[Facts]
) -> list[Finding]:
    same: dict[str, list[int]] = {}
    for number, fact in enumerate(facts):
        if fact.pixels:
            same.setdefault(fact.pixels, []).append(number)
    found: dict[str, list[str]] = {'splits': [], 'labels': [], 'one split': []}
    for numbers in same.values():
        if len(numbers) < 2:
            continue
        names = ' = '.join(f'{files[n]} ({splits[n] or "-"})' for n in numbers)
        apart = len(set(splits[numbers])) > 1
        if apart:
            found['splits'].append(names)
        if len(set(labels[numbers])) > 1:
            found['labels'].append(names)
        elif not apart:
            found['one split'].append(names)
    return [
        *_finding('error', 'identical images in different splits', found['splits']),
        *_finding('error', 'identical images with different labels', found['labels']),
        *_finding('warning', 'identical images in one split', found['one split']),
    ]


def _near(files: list[str], splits: np.ndarray, facts: list[Facts]) -> list[Finding]:
    seen = np.array(
        [number for number, fact in enumerate(facts) if not fact.error], int
    )
    if not len(seen):
        return []
    bits = np.stack([facts[number].bits for number in seen])
    pairs = [
        f'{files[a]} ({splits[a]}) ~ {files[b]} ({splits[b]})'
        for a, b in seen[near_pairs(bits, splits[seen])]
        if facts[a].pixels != facts[b].pixels
    ]
    return _finding('warning', 'near duplicates in different splits', pairs)


def near_pairs(hashes: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Return the pairs of images in different splits that look the same.

    Args:
        hashes: Perceptual hashes as bytes, (N, 8).
        splits: Of each, (N,).

    Returns:
        Indices, (P, 2), by hashes that differ in at most 2 bits.
    """
    signs = 2 * np.unpackbits(hashes, axis=1).astype(np.float32) - 1
    pairs = [np.empty((0, 2), int)]
    for one, other in combinations(_ordered(splits), 2):
        rows, columns = (np.flatnonzero(splits == split) for split in (one, other))
        for chunk in np.array_split(rows, len(rows) // 1000 + 1):
            # Products of signs: equal bits less different ones.
            alike = signs[chunk] @ signs[columns].T
            a, b = np.nonzero(alike >= signs.shape[1] - 2 * NEAR)
            pairs.append(np.stack([chunk[a], columns[b]], axis=1))
    return np.concatenate(pairs)


def _odd(files: list[str], facts: list[Facts]) -> list[Finding]:
    seen = [
        (file, fact) for file, fact in zip(files, facts, strict=True) if not fact.error
    ]
    if not seen:
        return []
    areas = np.array([fact.size[0] * fact.size[1] for _, fact in seen])
    ratios = np.array([fact.size[0] / fact.size[1] for _, fact in seen])
    small = areas < np.median(areas) / 16
    slim = np.abs(np.log(ratios / np.median(ratios))) > np.log(3)
    sizes = [f'{file} {fact.size[0]}x{fact.size[1]}' for file, fact in seen]
    return [
        *_finding(
            'warning',
            'images far smaller or slimmer than the others',
            [sizes[n] for n in np.flatnonzero(small | slim)],
        ),
        *_finding(
            'warning',
            'images that are not 8-bit RGB',
            [f'{file} {fact.kind}' for file, fact in seen if fact.kind != 'RGB'],
        ),
        *_finding(
            'warning',
            'images that EXIF says to turn',
            [file for file, fact in seen if fact.turned],
        ),
    ]


def _ordered(splits: np.ndarray) -> list[str]:
    """Return the names of the splits, train, val and test first."""
    usual = ('train', 'val', 'test')
    found = set(splits.tolist())
    return [s for s in usual if s in found] + sorted(found - set(usual))
