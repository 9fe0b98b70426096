"""Images that are the same, or look the same."""

import numpy as np

from mmimbal.datasets.checking.finding import Finding, findings_of
from mmimbal.datasets.checking.image_facts import Facts

NEAR = 2  # of the 64 bits of a perceptual hash
CHUNK = 1000  # images compared with all others at once


def identical(
    files: list[str], labels: np.ndarray, facts: list[Facts]
) -> list[Finding]:
    """Find images with the same pixels; those with different labels are errors."""
    found: dict[bool, list[str]] = {True: [], False: []}
    for numbers in _same_pixels(facts):
        names = ' = '.join(files[n] for n in numbers)
        found[len(set(labels[numbers])) > 1].append(names)
    return [
        *findings_of('error', 'identical images with different labels', found[True]),
        *findings_of('warning', 'identical images', found[False]),
    ]


def identical_across(
    files: list[str], splits: np.ndarray, facts: list[Facts]
) -> list[Finding]:
    """Find images with the same pixels in different splits."""
    found = [
        ' = '.join(f'{files[n]} ({splits[n] or "-"})' for n in numbers)
        for numbers in _same_pixels(facts)
        if len(set(splits[numbers]) - {''}) > 1
    ]
    return findings_of('error', 'identical images in different splits', found)


def _same_pixels(facts: list[Facts]) -> list[list[int]]:
    """Return the numbers of images that are the same, two or more each."""
    same: dict[str, list[int]] = {}
    for number, fact in enumerate(facts):
        if fact.pixels:
            same.setdefault(fact.pixels, []).append(number)
    return [numbers for numbers in same.values() if len(numbers) > 1]


def near_duplicates(splits: np.ndarray, facts: list[Facts]) -> np.ndarray:
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


def near_across(
    files: list[str], splits: np.ndarray, pairs: np.ndarray
) -> list[Finding]:
    """Name the pairs of near duplicates that are in different splits."""
    found = [
        f'{files[a]} ({splits[a]}) ~ {files[b]} ({splits[b]})'
        for a, b in pairs
        if splits[a] and splits[b] and splits[a] != splits[b]
    ]
    return findings_of('warning', 'near duplicates in different splits', found)


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
