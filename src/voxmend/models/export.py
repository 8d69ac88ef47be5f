"""Networks as ONNX files, which run without PyTorch.

ONNX has no complex numbers, so spectra are written as pairs of real ones, and Fourier transforms of
frames as convolutions. Length and number of signals stay open. What is written is run and
compared before it counts.
"""

import json
import logging
import math
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, conv_transpose1d, pad
from torch.overrides import TorchFunctionMode

from ..audio import atomic_path

TOLERANCE = 1e-4  # of the largest value
TRACED = {"batch": 2, "samples": 16000, "frames": 64}
TRIED = ({"batch": 1, "samples": 12345, "frames": 48}, {"batch": 3, "samples": 20001, "frames": 96})


class ExportError(ValueError):
    """A network that cannot be written as ONNX, in one line."""


@dataclass(frozen=True)
class Function:
    """A network as a function of named tensors.

    Args:
        module: that computes it.
        inputs: their shapes; an axis that is open has a name of `TRACED` in place of a size.
        output: its name.
        about: what a user has to know, such as the sample rate.
    """

    module: nn.Module
    inputs: dict[str, tuple[int | str, ...]]
    output: str
    about: dict = field(default_factory=dict)

    def example(self, sizes: dict[str, int]) -> tuple[Tensor, ...]:
        """Random inputs: signals of unit variance, levels in 0.1…1.1."""
        rng, shapes = torch.Generator().manual_seed(0), (
            [axis if isinstance(axis, int) else sizes[axis] for axis in shape]
            for shape in self.inputs.values())
        return tuple(torch.randn(shape, generator=rng) if len(shape) > 1
                     else torch.rand(shape, generator=rng) + 0.1 for shape in shapes)


class Pair:
    """A complex tensor as its real and imaginary part.

    What a tensor's method moves or sums it does to both; products and sums are those of complex
    numbers.
    """

    def __init__(self, real: Tensor, imag: Tensor):
        self.real, self.imag = real, imag

    @property
    def shape(self) -> torch.Size:
        """That of either part."""
        return self.real.shape

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def both(*args: Any, **kwargs: Any) -> Any:
            real, imag = (getattr(part, name)(*args, **kwargs) for part in (self.real, self.imag))
            return Pair(real, imag) if isinstance(real, Tensor) else tuple(map(Pair, real, imag))

        return both

    def __add__(self, other: "Pair") -> "Pair":
        return Pair(self.real + other.real, self.imag + other.imag)

    def __mul__(self, other: "Pair") -> "Pair":
        return Pair(self.real * other.real - self.imag * other.imag,
                    self.real * other.imag + self.imag * other.real)

    @classmethod
    def __torch_function__(cls, function: Callable, types: Any, args: Any = (),
                           kwargs: Any = None) -> Any:
        found = REAL.get(function)
        if found is None:
            raise ExportError(f"has complex numbers in {function.__name__}")
        return found(*args, **(kwargs or {}))


@cache
def _basis(n_fft: int) -> Tensor:
    """cos and −sin of every bin. Shape: `[2, n_fft // 2 + 1, n_fft]`."""
    angle = (2 * math.pi / n_fft * torch.arange(n_fft // 2 + 1, dtype=torch.float64)[:, None]
             * torch.arange(n_fft))
    return torch.stack([angle.cos(), -angle.sin()])


def _stft(x: Tensor, n_fft: int, hop_length: int, *, window: Tensor, pad_mode: str = "reflect",
          **options: Any) -> Pair:
    """`torch.stft` of centred frames."""
    filters = (_basis(n_fft) * window).float().flatten(0, 1)[:, None]
    real, imag = conv1d(pad(x[:, None], (n_fft // 2,) * 2, pad_mode), filters,
                        stride=hop_length).chunk(2, dim=1)
    return Pair(real, imag)


def _istft(spectrum: Pair, n_fft: int, hop_length: int, *, window: Tensor, length: int,
           **options: Any) -> Tensor:
    """`torch.istft` of centred frames: overlap-add over the sum of the windows' squares."""
    twice = torch.full((n_fft // 2 + 1, 1), 2.0 / n_fft, dtype=torch.float64)
    twice[[0, -1]] = 1 / n_fft  # bins that have no counterpart at a negative frequency
    filters = (_basis(n_fft) * twice * window).float().flatten(0, 1)[:, None]
    frames = torch.cat([spectrum.real, spectrum.imag], 1)
    wave = conv_transpose1d(frames, filters, stride=hop_length)
    envelope = conv_transpose1d(torch.ones_like(frames[:1, :1]), window.square()[None, None],
                                stride=hop_length)
    middle = slice(n_fft // 2, n_fft // 2 + length)
    return (wave[..., middle] / envelope[..., middle])[:, 0]


REAL: dict[Callable, Callable] = {
    torch.stft: _stft, torch.istft: _istft,
    torch.view_as_complex: lambda parts: Pair(*parts.unbind(-1)),
    torch.view_as_real: lambda pair: torch.stack([pair.real, pair.imag], -1)}


class _RealNumbers(TorchFunctionMode):
    """Where `REAL` stands for what gives complex numbers."""

    def __torch_function__(self, function: Callable[..., Any], types: Any, args: Any = (),
                           kwargs: dict[str, Any] | None = None) -> Any:
        return REAL.get(function, function)(*args, **(kwargs or {}))


class _Real(nn.Module):
    """A network of which only real numbers are seen."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        with _RealNumbers():
            out: Tensor = self.network(*inputs)
        return out


@contextmanager
def _quiet() -> Iterator[None]:
    """Where neither the exporter's log nor its warnings are printed."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        log.setLevel(level)


def _translate(name: str, function: Function, path: Path) -> None:
    real = _Real(function.module).eval()
    example = function.example(TRACED)
    axes = tuple({i: axis for i, axis in enumerate(shape) if isinstance(axis, str)}
                 for shape in function.inputs.values())
    try:
        real(*example)  # fills what networks cache, which tracing must not
        with _quiet():
            program = torch.onnx.export(real, example, input_names=[*function.inputs],
                                        output_names=[function.output], dynamic_shapes=(axes,),
                                        dynamo=True, verbose=False)
    except ExportError as error:
        raise ExportError(f"{name}: cannot be written as ONNX, since it {error}") from None
    except Exception as error:  # whatever PyTorch's tracer and translator may raise
        reason = textwrap.shorten(str(error.__cause__ or error), 160)
        raise ExportError(f"{name}: cannot be written as ONNX ({reason})") from None
    if program is None:
        raise ExportError(f"{name}: cannot be written as ONNX")
    program.model.metadata_props["voxmend"] = json.dumps(function.about)
    program.save(str(path), external_data=False)


def error_of(function: Function, path: Path) -> float:
    """The largest difference of an ONNX file from the network, of the largest value.

    Signals are longer and shorter, more and fewer, than those that the network was traced with.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    errors = []
    for sizes in TRIED:
        example = function.example(sizes)
        expected = function.module(*example).numpy()
        (found,) = session.run(None, {name: x.numpy() for name, x in
                                      zip(function.inputs, example, strict=True)})
        largest = max(np.abs(expected).max(), np.finfo(np.float32).tiny)  # some say nothing yet
        errors.append(np.abs(found - expected).max() / largest
                      if found.shape == expected.shape else np.inf)
    return float(max(errors))


@torch.no_grad()
def write_onnx(name: str, function: Function, path: Path, overwrite: bool = False) -> float:
    """Writes a network as ONNX, and its `about` into the file, and returns `error_of` it.

    Raises: ExportError for a network that cannot be written, or comes out otherwise by more than
    `TOLERANCE`; ImportError without onnx, onnxscript and onnxruntime; AudioError when `path`
    exists.
    """
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as missing:
        raise ImportError(f"ONNX needs {missing.name}: pip install 'voxmend[export]'") from None
    with atomic_path(path, overwrite) as partial:
        _translate(name, function, partial)
        error = error_of(function, partial)
        if not error <= TOLERANCE:
            raise ExportError(f"{name}: its ONNX differs by {error:.1g} of the largest value, more "
                              f"than {TOLERANCE:g}")
    return error
