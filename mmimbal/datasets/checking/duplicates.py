"""Search for identical images and near duplicates."""

import numpy as np

from mmimbal.datasets.checking.finding import Finding, findings_of
from mmimbal.datasets.checking.image_facts import ImageFacts

MAX_DIFFERENT_BITS = 2  # of the 64 of a perceptual hash
CHUNK = 1000  # images compared with all others at once


def identical(
    files: list[str], labels: np.ndarray, facts: list[ImageFacts]
) -> list[Finding]:
    """Find images with the same pixels. Different labels make it an error."""
    by_conflict: dict[bool, list[str]] = {True: [], False: []}
    for numbers in _same_pixels(facts):
        names = ' = '.join(files[n] for n in numbers)
        by_conflict[len(set(labels[numbers])) > 1].append(names)
    return [
        *findings_of(
            'error', 'identical images with different labels', by_conflict[True]
        ),
        *findings_of('warning', 'identical images', by_conflict[False]),
    ]


def identical_across(
    files: list[str], splits: np.ndarray, facts: list[ImageFacts]
) -> list[Finding]:
    """Find images with the same pixels in different splits."""
    names = [
        ' = '.join(f'{files[n]} ({splits[n] or "-"})' for n in numbers)
        for numbers in _same_pixels(facts)
        if len(set(splits[numbers]) - {''}) > 1
    ]
    return findings_of('error', 'identical images in different splits', names)


def _same_pixels(facts: list[ImageFacts]) -> list[list[int]]:
    """Return lists of indices of identical images, two or more in each list."""
    same: dict[str, list[int]] = {}
    for number, fact in enumerate(facts):
        if fact.pixels:
            same.setdefault(fact.pixels, []).append(number)
    return [numbers for numbers in same.values() if len(numbers) > 1]


def near_duplicates(splits: np.ndarray, facts: list[ImageFacts]) -> np.ndarray:
    """Return pairs of near duplicates in different splits, (P, 2), not identical."""
    decoded = np.array(
        [number for number, fact in enumerate(facts) if not fact.error], int
    )
    if not len(decoded):
        return np.empty((0, 2), int)
    bits = np.stack([facts[number].bits for number in decoded])
    pairs = decoded[near_pairs(bits, splits[decoded])]
    different = [facts[a].pixels != facts[b].pixels for a, b in pairs]
    return pairs[np.array(different, bool)]


def near_across(
    files: list[str], splits: np.ndarray, pairs: np.ndarray
) -> list[Finding]:
    """Report the pairs of near duplicates that are in different splits."""
    names = [
        f'{files[a]} ({splits[a]}) ~ {files[b]} ({splits[b]})'
        for a, b in pairs
        if splits[a] and splits[b] and splits[a] != splits[b]
    ]
    return findings_of('warning', 'near duplicates in different splits', names)


def near_pairs(hashes: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Return the pairs of images in different splits with nearly equal hashes.

    Args:
        hashes: Perceptual hashes as bytes, (N, 8).
        splits: Split of each image in C columns, (N, C). A pair is returned if it
            differs in one of them.

    Returns:
        Indices, (P, 2), smaller index first. Hashes differ in at most 2 bits.
    """
    signs = 2 * np.unpackbits(hashes, axis=1).astype(np.float32) - 1
    pairs = [np.empty((0, 2), int)]
    for start in range(0, len(signs), CHUNK):
        # The product counts equal bits minus different bits.
        alike = signs[start : start + CHUNK] @ signs[start:].T
        a, b = np.nonzero(alike >= signs.shape[1] - 2 * MAX_DIFFERENT_BITS)
        near = start + np.stack([a, b], 1)[a < b]
        differ = (splits[near[:, 0]] != splits[near[:, 1]]).any(1)
        pairs.append(near[differ])
    return np.concatenate(pairs)
