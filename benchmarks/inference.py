"""Compare a published model in ONNX Runtime, on a CPU, with the same in PyTorch.

"Ours" is ONNX Runtime with the file that `tools/publish.py --onnx` writes. PyTorch has
convolutions channels-last. Both go from bytes to probabilities, each in a process of
its own.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import torch
from _comparison import CONFIGS, TINY_START, Case, Side, compare, seconds_of_sides
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

from mmimbal.inference.onnx_file import FromBytes, write_onnx
from mmimbal.inference.predictor import Predictor


def predictor_of(leaf: str, profile: str) -> Predictor:
    """Return a predictor of 7 classes with random weights."""
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    cfg = Config.fromfile(CONFIGS / '_base_/profiles' / f'{profile}.py')
    head = Config.fromfile(CONFIGS / '_base_/stage2' / f'{leaf}.py').stage2_head
    model = cfg.model.to_dict()
    model['head'].update(head, num_classes=7)
    return Predictor(MODELS.build(model).eval(), {}, [], (), {})


def noise(size: int, batch_size: int) -> torch.Tensor:
    """Return images, (B, 3, size, size), uint8."""
    return torch.randint(0, 256, (batch_size, 3, size, size), dtype=torch.uint8)


def in_torch(size: int, batch_size: int, **net) -> Callable:
    """Return a function that predicts a batch with PyTorch."""
    network = FromBytes(predictor_of(**net).model).eval()
    network.to(memory_format=torch.channels_last)
    images = noise(size, batch_size)
    return torch.inference_mode()(lambda: network(images))


def in_onnx(size: int, batch_size: int, **net) -> Callable:
    """Return a function that predicts a batch with ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, 'model.onnx')
        write_onnx(predictor_of(**net), file, (size, size))
        session = onnxruntime.InferenceSession(
            str(file), options, providers=['CPUExecutionProvider']
        )
    images = noise(size, batch_size).numpy()
    return lambda: session.run(None, dict(images=images))


def infer(
    repeats: int, rounds: int, start: str, **size
) -> tuple[float, float, str, str]:
    """Measure a batch of noise with both."""
    sides = [Side(in_onnx, size), Side(in_torch, size)]
    times = seconds_of_sides(sides, repeats, rounds, start)
    return *(1e3 * elapsed for elapsed in times), 'PyTorch', 'ms'


NET = dict(
    leaf='cosine', profile='pretrained', size=96, repeats=9, rounds=5, start='spawn'
)
DIGITS = dict(
    leaf='crt',
    profile='digits',
    size=8,
    batch_size=2,
    repeats=1,
    rounds=1,
    start=TINY_START,
)
CASES = {
    f'MobileNetV2, 96 px, {number} image{"s" * (number > 1)}': Case(
        infer, dict(NET, batch_size=number), DIGITS
    )
    for number in (1, 32)
}

if __name__ == '__main__':
    compare(__doc__, CASES)
