"""The nearest training images of an image are named."""

import dataclasses

import numpy as np
import pytest
import torch

from mmimbal.datasets import CSVDataset
from mmimbal.evaluation.predictions import predictions_for
from mmimbal.inference.find_images import find_images
from mmimbal.inference.neighbours import load_neighbours, nearest
from mmimbal.inference.predict import predict_files
from mmimbal.inference.predictor import load_predictor
from tests.inference.conftest import CLASSES, PIPELINE, plain_model, read_table
from tests.tools import explain


def features_of(work_dir, dataset):
    """Work out the embeddings of a trained model, one image after the other."""
    model, _ = plain_model(work_dir)
    rows = []
    for item in dataset:
        batch = dict(inputs=item['inputs'][None], data_samples=[item['data_samples']])
        inputs = model.data_preprocessor(batch)['inputs']
        with torch.no_grad():
            rows.append(model.extract_feat(inputs)[-1].flatten().double().numpy())
    return np.stack(rows)


@pytest.fixture(scope='module')
def train_images(data):
    return CSVDataset(str(data), 'train', test_mode=True, pipeline=PIPELINE)


@pytest.fixture(scope='module')
def embeddings(members, train_images):
    return features_of(members / 'fold0', train_images)


@pytest.fixture(scope='module')
def index(embeddings, train_images, tmp_path_factory):
    scores = np.full((len(train_images), len(CLASSES)), 1 / len(CLASSES))
    file = tmp_path_factory.mktemp('index') / 'train.npz'
    predictions_for(train_images, scores, None, embeddings).save(file)
    return file


def test_the_nearest_training_images_are_named(
    data, members, index, embeddings, train_images, tmp_path
):
    files = find_images([data], 'test')
    bad = tmp_path / 'bad.png'
    bad.write_bytes(b'no image')
    predictor = load_predictor([members / 'fold0'])
    neighbours = load_neighbours(index, CLASSES, 3, predictor.model_hash)
    out = tmp_path / 'out.csv'
    predict_files(
        predictor, [str(bad), *files], out, 4, workers=0, neighbours=neighbours
    )
    broken, *table = read_table(out)
    assert broken['problem'] and not broken['neighbour 1']

    images = CSVDataset(str(data), 'test', test_mode=True, pipeline=PIPELINE)
    queries = features_of(members / 'fold0', images)
    for query, row in zip(queries, table, strict=True):
        lengths = np.linalg.norm(query) * np.linalg.norm(embeddings, axis=1)
        cosines = embeddings @ query / lengths
        order = np.argsort(-cosines)[:3]
        for rank, image in enumerate(order, 1):
            assert row[f'neighbour {rank}'] == train_images.get_files()[image]
            label = train_images.get_gt_labels()[image]
            assert row[f'neighbour {rank}: class'] == CLASSES[label]
            found = float(row[f'neighbour {rank}: cosine'])
            assert found == pytest.approx(cosines[image], abs=1e-4)


@pytest.mark.parametrize('chunk', [1, 2, 7, 20])
def test_chunks_of_any_size_find_the_same(chunk):
    generator = torch.Generator().manual_seed(0)
    queries = 5 * torch.randn(6, 4, generator=generator, dtype=torch.float64)
    references = torch.randn(20, 4, generator=generator, dtype=torch.float64)
    references = references / references.norm(dim=1, keepdim=True)
    cosines, images = nearest(queries, references, 5, chunk)
    expected = queries / queries.norm(dim=1, keepdim=True) @ references.T
    order = expected.argsort(dim=1, descending=True)[:, :5]
    assert torch.equal(images, order)
    assert torch.allclose(cosines, expected.gather(1, order))


def test_what_does_not_fit_is_refused(data, members, index, tmp_path):
    files = find_images([data], 'val')
    out = tmp_path / 'o.csv'
    for count in (0, 25):
        with pytest.raises(ValueError, match='of 24 images: choose 1 to 24'):
            load_neighbours(index, CLASSES, count, '')
    with pytest.raises(ValueError, match='has the classes a, b, c, the model b, a'):
        load_neighbours(index, ['b', 'a'], 1, '')

    neighbours = load_neighbours(index, CLASSES, 1, '')
    other = dataclasses.replace(neighbours, embeddings=torch.ones(24, 2))
    predictor = load_predictor([members / 'fold0'])
    with pytest.raises(ValueError, match='2 numbers, those of the model'):
        predict_files(predictor, files, out, workers=0, neighbours=other)
    with pytest.raises(ValueError, match='one view of each image'):
        predict_files(
            predictor, files, out, workers=0, tta='flips', neighbours=neighbours
        )
    ensemble = load_predictor([members])
    with pytest.raises(ValueError, match='but EnsembleClassifier has none'):
        predict_files(ensemble, files, out, workers=0, neighbours=neighbours)


def test_predictions_without_embeddings_are_no_index(train_images, tmp_path):
    scores = np.full((len(train_images), len(CLASSES)), 1 / len(CLASSES))
    predictions_for(train_images, scores).save(tmp_path / 'train.npz')
    with pytest.raises(ValueError, match='no embeddings: write it with'):
        load_neighbours(tmp_path / 'train.npz', CLASSES, 1, '')


def test_an_index_of_another_model_is_refused(members, data, tmp_path):
    config, index = next((members / 'fold0').glob('*.py')), tmp_path / 'index.npz'
    flags = ['--split', 'train', '--embeddings', '--out', index]
    assert explain('test', config, members / 'fold0', *flags) is None
    search = [data / 'images', '--neighbours', 1, '--index', index]
    out = ['--out', tmp_path / 'o.csv', '--workers', 0]
    assert explain('predict', members / 'fold0', *search, *out) is None
    message = explain('predict', members / 'fold1', *search, *out)
    assert 'index.npz was written by another model' in message
