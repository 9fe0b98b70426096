"""Compare a published model in ONNX Runtime, on a CPU, with the same in PyTorch."""

import tempfile
from pathlib import Path

import onnxruntime
import torch
from _comparison import Case, compare, seconds_in_turn
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

from mmimbal.inference.onnx_file import FromBytes, write_onnx
from mmimbal.inference.predictor import Predictor

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'


def infer(
    leaf: str, profile: str, size: int, batch_size: int, repeats: int
) -> tuple[float, float, str, str]:
    """Measure a batch of noise, from bytes to probabilities, alternately."""
    cfg = Config.fromfile(CONFIGS / '_base_/profiles' / f'{profile}.py')
    head = Config.fromfile(CONFIGS / '_base_/stage2' / f'{leaf}.py').stage2_head
    model = cfg.model.to_dict()
    model['head'].update(head, num_classes=7)
    predictor = Predictor(MODELS.build(model).eval(), {}, [], (), {})
    images = torch.randint(0, 256, (batch_size, 3, size, size), dtype=torch.uint8)
    network = FromBytes(predictor.model).eval()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, 'model.onnx')
        write_onnx(predictor, file, (size, size))
        session = onnxruntime.InferenceSession(
            str(file), options, providers=['CPUExecutionProvider']
        )

    def in_torch() -> None:
        with torch.inference_mode():
            network(images)

    def in_onnx() -> None:
        session.run(None, {'images': images.numpy()})

    for function in (in_onnx, in_torch):
        function()
    ours, peer = seconds_in_turn([in_onnx, in_torch], repeats)
    return ours * 1e3, peer * 1e3, 'PyTorch', 'ms'


NET = dict(leaf='cosine', profile='pretrained', size=96)
DIGITS = dict(leaf='crt', profile='digits', size=8, batch_size=2, repeats=1)
CASES = {
    f'MobileNetV2, 96 px, {number} image{"s" * (number > 1)}': Case(
        infer, dict(NET, batch_size=number, repeats=41), DIGITS
    )
    for number in (1, 32)
}

if __name__ == '__main__':
    init_default_scope('mmpretrain')
    compare(__doc__, CASES)
