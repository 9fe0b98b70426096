"""Images of the same class are searched by their embeddings."""

import numpy as np
import pytest

from mmimbal.evaluation import retrieval
from mmimbal.evaluation.retrieval import retrieve


def naive(embeddings, labels, classes):
    """Work out recall@1 and mAP@R image by image."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    of_class = [([], []) for _ in range(classes)]
    for query, label in enumerate(labels):
        others = [i for i in range(len(labels)) if i != query]
        others.sort(key=lambda i: -unit[query] @ unit[i])
        right = labels[others] == label
        total = right.sum()
        if total:
            top = right[:total]
            ranks = np.arange(1, total + 1)
            of_class[label][0].append(right[0])
            of_class[label][1].append((top * np.cumsum(top) / ranks).sum() / total)
    with np.errstate(all='ignore'):
        return [
            np.array([np.mean(each[n]) if each[n] else np.nan for each in of_class])
            for n in (0, 1)
        ]


@pytest.mark.parametrize('at_once', [retrieval.BATCH, 7])
@pytest.mark.parametrize('seed', range(3))
def test_against_one_image_after_the_other(seed, at_once, monkeypatch):
    monkeypatch.setattr(retrieval, 'BATCH', at_once)
    random = np.random.default_rng(seed)
    labels = np.repeat([0, 1, 2, 3, 4], [30, 9, 4, 2, 1])
    random.shuffle(labels)
    centres = random.normal(size=(5, 5))
    embeddings = centres[labels] + random.normal(size=(46, 5))
    found = retrieve(embeddings.astype(np.float32), labels, np.arange(46), 5)
    recall, precision = naive(embeddings, labels, 5)
    assert np.allclose(found.recall_at_1, recall, equal_nan=True)
    assert np.allclose(found.map_at_r, precision, atol=1e-6, equal_nan=True)
    assert 0 < np.nanmean(precision) < 1


def test_another_photo_of_the_same_lesion_is_not_searched():
    """Each image has a twin in its group, but the nearest other one is wrong."""
    embeddings = np.array([[1, 0], [1, 0], [0.9, 1], [1, 0.9], [-1, 0.1], [-1, 0]])
    labels = np.array([0, 0, 0, 1, 1, 1])
    twins = np.repeat(embeddings, 2, axis=0)
    each = np.repeat(np.arange(6), 2)
    alone = retrieve(embeddings, labels, np.arange(6), 2)
    found = retrieve(twins, labels.repeat(2), each, 2)
    assert np.array_equal(found.recall_at_1, alone.recall_at_1)
    assert np.array_equal(found.map_at_r, alone.map_at_r)
    easy = retrieve(twins, labels.repeat(2), np.arange(12), 2)
    assert (easy.recall_at_1 == 1).all() and (alone.recall_at_1 < 1).all()


def test_the_only_image_of_a_class_has_no_value_but_can_be_found():
    embeddings = np.array([[1.0, 0], [0, 1.0], [1, 0.05]])
    found = retrieve(embeddings, np.array([0, 0, 2]), np.arange(3), 3)
    assert np.array_equal(np.isnan(found.recall_at_1), [False, True, True])
    assert found.recall_at_1[0] == 0


def test_no_class_has_two_images():
    found = retrieve(np.eye(3), np.arange(3), np.arange(3), 3)
    assert np.isnan(found.recall_at_1).all() and np.isnan(found.map_at_r).all()


DEAD = np.eye(10, 4)
DEAD[1:] = 0


@pytest.mark.parametrize(
    'collapsed',
    [
        np.ones((10, 4)),
        np.zeros((10, 4)),
        np.outer(np.arange(10), [1, 2, 3, 4]),  # of several lengths, one of them 0
        np.ones((10, 4)) + 1e-7 * np.eye(10, 4),
        DEAD,  # all but one are 0
    ],
)
def test_collapsed_embeddings_have_no_nearest_image(collapsed):
    labels = np.repeat([0, 1], 5)
    found = retrieve(collapsed.astype(np.float32), labels, np.arange(10), 2)
    assert np.isnan(found.recall_at_1).all() and np.isnan(found.map_at_r).all()


def test_images_that_are_equally_near_are_found_by_chance():
    """Two directions, and in each as many images of one class as of the other."""
    labels, side = np.repeat([0, 1], 200), np.arange(400) % 2
    found = retrieve(np.eye(2)[side], labels, np.arange(400), 2)
    assert found.map_at_r == pytest.approx([0.25, 0.25], abs=0.05)  # half of half


def test_a_patient_with_several_classes_has_an_image_of_each():
    """Classes are apart, and images of one patient are nearer than all others."""
    patients, labels = np.repeat(np.arange(12), 3), np.tile(np.arange(3), 12)
    embeddings = np.concatenate(
        [4 * np.eye(3)[labels], 9 * np.eye(12)[patients]], axis=1
    )
    for order in (np.arange(36), np.random.default_rng(0).permutation(36)):
        found = retrieve(embeddings[order], labels[order], patients[order], 3)
        assert (found.recall_at_1 == 1).all() and (found.map_at_r == 1).all()


def test_a_class_with_several_images_of_one_group_has_no_neighbours():
    embeddings = np.array([[1.0, 0], [0.9, 0.1], [0.8, 0.3], [0, 1], [0.1, 1]])
    labels, groups = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 3, 3])
    found = retrieve(embeddings, labels, groups, 2)
    assert found.recall_at_1[0] == 1 and np.isnan(found.recall_at_1[1])
