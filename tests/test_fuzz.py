"""Whatever a file holds, reading it works or says that it is wrong."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmimbal.datasets import CSVDataset
from mmimbal.evaluation.predictions import Predictions, load_predictions
from mmimbal.stage2.feature_cache import open_cache

NOT_EACH_TIME = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
FEW = settings(max_examples=60, suppress_health_check=NOT_EACH_TIME)
# Others each time, and the one that fails is printed: they look for what FEW missed.
MANY = settings(FEW, max_examples=12000, derandomize=False)

PIECES = [
    *('file', 'label', 'group', 'split', 'fold0', 'x.png', 'a', 'b', '0', '7', '-1'),
    *(',', ',', ',', '\n', '\n', '\r\n', '"', '""', ' ', '\t', '\0', ';', '\\', '/'),
    *('..', '../x.png', '/etc/passwd', 'é', '\ufeff', '\u2028', 'train', 'val', '1e9'),
    'file,label,group,split\n',
    'x.png,a,g,train\n',
    '9' * 30,
]
INDEX = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from(PIECES), max_size=40).map(lambda p: ''.join(p).encode()),
    st.lists(st.sampled_from(PIECES), max_size=30).map(
        lambda p: b'file,label,group,split\n' + ''.join(p).encode()
    ),
)
CLASSES = st.one_of(
    st.none(),
    st.lists(st.sampled_from(['a', 'b', '0', '1', '']), max_size=3),
)


def read_index(folder, index, classes):
    """Read an index in every way; outside its folder nothing may be named."""
    (folder / 'index.csv').write_bytes(index)
    (folder / 'x.png').touch()
    (folder / 'dataset.json').unlink(missing_ok=True)
    if classes is not None:
        (folder / 'dataset.json').write_text(json.dumps(dict(classes=classes)))
    for options in (dict(), dict(split='train'), dict(test_mode=True)):
        try:
            dataset = CSVDataset(str(folder), **options)
        except (ValueError, FileNotFoundError) as error:
            assert str(folder) in str(error) or 'no image' in str(error)
            continue
        for number in range(len(dataset)):
            item = dataset.get_data_info(number)
            path = (folder / item['img_path']).resolve()
            assert path.is_relative_to(folder.resolve())
            assert 0 <= item['gt_label'] < len(dataset.CLASSES)


@given(index=INDEX, classes=CLASSES)
@FEW
def test_an_index(tmp_path, index, classes):
    read_index(tmp_path, index, classes)


@pytest.mark.soak
@given(index=INDEX, classes=CLASSES)
@MANY
def test_many_an_index(tmp_path, index, classes):
    read_index(tmp_path, index, classes)


def whole_file() -> bytes:
    random = np.random.default_rng(0)
    labels = np.array([0, 1, 2, 1])
    found = Predictions(
        random.dirichlet(np.ones(3), 4),
        labels,
        np.array(['a', 'b', 'c', 'd']),
        np.array(['x', 'x', 'y', 'z']),
        ('one', 'two', 'three'),
        np.array([5, 3, 2]),
        random.normal(size=(4, 2)),
    )
    with TemporaryDirectory() as folder:
        found.save(Path(folder, 'run.npz'))
        return Path(folder, 'run.npz').read_bytes()


WHOLE = whole_file()
CHANGES = st.lists(
    st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=8
)


@st.composite
def damaged(draw):
    """Draw a file of predictions with bytes changed, perhaps its end cut off."""
    content = bytearray(WHOLE)
    for place, value in draw(CHANGES):
        content[place] = value
    kept = st.just(len(WHOLE)) | st.integers(0, len(WHOLE))
    return bytes(content[: draw(kept)])


FILES = st.one_of(st.binary(max_size=300), damaged())


def read_predictions(folder, content):
    path = folder / 'run.npz'
    path.write_bytes(content)
    try:
        found = load_predictions(path)
    except ValueError as error:
        assert str(path) in str(error)
        return
    assert found.scores.shape == (len(found.labels), len(found.classes))
    assert np.isfinite(found.scores).all()


@given(content=FILES)
@FEW
def test_predictions(tmp_path, content):
    read_predictions(tmp_path, content)


@pytest.mark.soak
@given(content=FILES)
@MANY
def test_many_predictions(tmp_path, content):
    read_predictions(tmp_path, content)


META = st.one_of(
    st.binary(max_size=60),
    st.dictionaries(
        st.sampled_from(['shape', 'dtype', 'x']),
        st.one_of(
            st.sampled_from(['float32', 'O', 'V4', '']),
            st.lists(st.integers(-2, 5), max_size=4),
            st.none(),
            st.lists(st.just(2**62), max_size=3),
        ),
    ).map(lambda meta: json.dumps(meta).encode()),
)


@given(meta=META, size=st.integers(0, 100))
@FEW
def test_a_cache_of_features(tmp_path, meta, size):
    """What is no whole cache is computed again."""
    (tmp_path / 'meta.json').write_bytes(meta)
    (tmp_path / 'features.bin').write_bytes(bytes(size))
    found = open_cache(tmp_path)
    assert found is None or (found.nbytes == size and found.dtype.kind == 'f')
