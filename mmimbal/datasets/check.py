"""Whether a dataset is what it says, and whether its splits are apart."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
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
from mmimbal.datasets.splits import straddling_groups
from mmimbal.datasets.verdict import hash_of

TINY = 10  # images of a class in a split
NEAR = 2  # of the 64 bits of a perceptual hash
EXAMPLES = 5
CHUNK = 1000  # images compared with all others at once
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
    root: Path, processes: int | None = None, split_column: str | None = None
) -> dict:
    """Check a folder with an ``index.csv``, and each of its columns of splits.

    Near duplicates are images in two splits whose perceptual hashes (DCT of the image
    at 32 x 32) differ in at most 2 of 64 bits; turned or mirrored ones are not found.

    Args:
        root: The folder.
        processes: That decode images; one per core if ``None``.
        split_column: The only column of splits to look at; if ``None``, ``split`` and
            those of cross-validation, ``fold0``, ``fold1``, ...

    Returns:
        ``index`` (hash of the index), ``split_columns``, ``classes``, ``counts`` (of
        each split of the first column, (K,)), ``images``, ``findings``, a list of
        :class:`Finding` as dicts, and ``errors``, how many of those are errors.

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
    columns = _split_columns(table, split_column, index)
    groups = table['group'].to_pylist() if 'group' in table.column_names else files
    groups = [group or file for group, file in zip(groups, files, strict=True)]
    missing = set(missing_files(table, index))
    facts = list(look(root, files, missing, processes))
    findings = [*_broken(files, missing, facts), *_odd(files, facts)]
    findings += _identical(files, labels, facts)
    pairs = _near(np.stack(list(columns.values()), 1), facts)
    for column, splits in columns.items():
        of_column = [
            *_counts(labels, splits, classes),
            *_straddling(groups, splits),
            *_identical_across(files, splits, facts),
            *_near_across(files, splits, pairs),
            *_in_no_split(files, splits),
        ]
        if column != next(iter(columns)):
            of_column = [replace(f, what=f'{f.what} ({column})') for f in of_column]
        findings += of_column
    findings.sort(key=lambda finding: finding.level)
    splits = next(iter(columns.values()))
    return dict(
        index=hash_of(index),
        split_columns=list(columns),
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


def _split_columns(
    table: pa.Table, chosen: str | None, index: Path
) -> dict[str, np.ndarray]:
    """Return the splits of each image, (N,), by column; none is one without a name."""
    if chosen:
        require_columns(table.column_names, (chosen,), index)
        names = [chosen]
    else:
        names = [
            name
            for name in table.column_names
            if name == 'split' or re.fullmatch(r'fold\d+', name)
        ]
        names.sort(key=lambda name: (name != 'split', name))
    if not names:
        return {'split': np.full(len(table), '')}
    return {name: np.array(table[name].to_pylist()) for name in names}


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
    named = np.flatnonzero(splits != '')
    found = straddling_groups([groups[n] for n in named], splits[named])
    return _finding(
        'error',
        'groups in more than one split',
        [f'{group} ({", ".join(names)})' for group, names in found.items()],
    )


def _identical(
    files: list[str], labels: np.ndarray, facts: list[Facts]
) -> list[Finding]:
    found: dict[bool, list[str]] = {True: [], False: []}
    for numbers in _same_pixels(facts):
        names = ' = '.join(files[n] for n in numbers)
        found[len(set(labels[numbers])) > 1].append(names)
    return [
        *_finding('error', 'identical images with different labels', found[True]),
        *_finding('warning', 'identical images', found[False]),
    ]


def _identical_across(
    files: list[str], splits: np.ndarray, facts: list[Facts]
) -> list[Finding]:
    found = [
        ' = '.join(f'{files[n]} ({splits[n] or "-"})' for n in numbers)
        for numbers in _same_pixels(facts)
        if len(set(splits[numbers]) - {''}) > 1
    ]
    return _finding('error', 'identical images in different splits', found)


def _same_pixels(facts: list[Facts]) -> list[list[int]]:
    """Return the numbers of images that are the same, two or more each."""
    same: dict[str, list[int]] = {}
    for number, fact in enumerate(facts):
        if fact.pixels:
            same.setdefault(fact.pixels, []).append(number)
    return [numbers for numbers in same.values() if len(numbers) > 1]


def _near(splits: np.ndarray, facts: list[Facts]) -> np.ndarray:
    """Return pairs of images, (P, 2), that look the same but are not."""
    seen = np.array(
        [number for number, fact in enumerate(facts) if not fact.error], int
    )
    if not len(seen):
        return np.empty((0, 2), int)
    bits = np.stack([facts[number].bits for number in seen])
    pairs = seen[near_pairs(bits, splits[seen])]
    different = [facts[a].pixels != facts[b].pixels for a, b in pairs]
    return pairs[np.array(different, bool)]


def _near_across(
    files: list[str], splits: np.ndarray, pairs: np.ndarray
) -> list[Finding]:
    found = [
        f'{files[a]} ({splits[a]}) ~ {files[b]} ({splits[b]})'
        for a, b in pairs
        if splits[a] and splits[b] and splits[a] != splits[b]
    ]
    return _finding('warning', 'near duplicates in different splits', found)


def _in_no_split(files: list[str], splits: np.ndarray) -> list[Finding]:
    left_out = np.flatnonzero(splits == '')
    if len(left_out) == len(files):  # a dataset without splits
        return []
    return _finding('warning', 'images in no split', [files[n] for n in left_out])


def near_pairs(hashes: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Return the pairs of images in different splits that look the same.

    Args:
        hashes: Perceptual hashes as bytes, (N, 8).
        splits: Of each, in C columns, (N, C); different in one is enough.

    Returns:
        Indices, (P, 2), the smaller first, by hashes that differ in at most 2 bits.
    """
    signs = 2 * np.unpackbits(hashes, axis=1).astype(np.float32) - 1
    pairs = [np.empty((0, 2), int)]
    for start in range(0, len(signs), CHUNK):
        # Products of signs: equal bits less different ones.
        alike = signs[start : start + CHUNK] @ signs[start:].T
        a, b = np.nonzero(alike >= signs.shape[1] - 2 * NEAR)
        found = start + np.stack([a, b], 1)[a < b]
        apart = (splits[found[:, 0]] != splits[found[:, 1]]).any(1)
        pairs.append(found[apart])
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
    """Return the names of the splits, train, val and test first; '' if none has one."""
    usual = ('train', 'val', 'test')
    found = set(splits.tolist()) - {''} or {''}
    return [s for s in usual if s in found] + sorted(found - set(usual))
