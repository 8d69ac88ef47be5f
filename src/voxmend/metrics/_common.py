"""What the metrics share: checked inputs, optional packages and weights on disk."""

import os
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import ArrayLike

from ..audio.errors import check_layout

PESQ_SECONDS = 30  # of a test signal at most (P.862.3); of minutes the package ends the process
PESQ_LEAST = {"nb": 1.0169, "wb": 1.0427}  # MOS-LQO of the raw score −0.5


class WeightsError(ValueError):
    """Weights that are missing or do not fit: one line that names the file and says what to do."""


def whole(sample_rate: float) -> int:
    """A rate in Hz, which may be a whole float; raises ValueError as `check_layout`."""
    check_layout("sample_rate", sample_rate, 1)
    return int(sample_rate)


def finite(*signals: ArrayLike) -> bool:
    """Whether none of them has NaN or infinity."""
    return all(bool(np.isfinite(signal).all()) for signal in signals)


def paired(estimate: ArrayLike, reference: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both signals in float64; raises ValueError unless they are 1-D and equally long."""
    estimate, reference = np.asarray(estimate, np.float64), np.asarray(reference, np.float64)
    if estimate.ndim != 1 or estimate.shape != reference.shape or not estimate.size:
        raise ValueError("a metric compares two mono signals of the same length, "
                         f"not {list(estimate.shape)} and {list(reference.shape)}")
    return estimate, reference


def mono_16k(wave: ArrayLike, sample_rate: int, shortest: int) -> np.ndarray:
    """The signal in float64 at 16 kHz.

    Raises ValueError unless it is finite, 1-D and at least so long, and for a rate as `whole`.
    """
    wave, sample_rate = np.asarray(wave, np.float64), whole(sample_rate)
    if wave.ndim != 1:
        raise ValueError(f"a metric judges a mono signal, not {list(wave.shape)}")
    if not finite(wave):
        raise ValueError("this metric judges a signal without NaN or infinity")
    if sample_rate != 16000:
        wave = np.asarray(soxr.resample(wave, sample_rate, 16000))
    if len(wave) < shortest:
        raise ValueError(f"this metric needs {shortest} samples at 16 kHz, not {len(wave)}")
    return wave


def extra(package: str, name: str = "metrics") -> Any:
    """A package of the extra `name`; raises ImportError saying how to get it."""
    try:
        return import_module(package)
    except ModuleNotFoundError:
        raise ImportError(f"{package} is missing: pip install 'voxmend[{name}]'") from None


def onnx_session(path: str | Path) -> Any:
    """An onnxruntime session on one thread, as suits small models; ImportError without it."""
    runtime = extra("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def shipped(package: str, path: str) -> Path:
    """Where an installed package keeps a file, without importing it; else the path alone."""
    try:
        return Path(str(distribution(package).locate_file(path)))
    except PackageNotFoundError:
        return Path(path)


def pesq(estimate: ArrayLike, reference: ArrayLike, sample_rate: int, rate: int,
         mode: str) -> float:
    """PESQ of signals brought to `rate` in the package's `mode`, nan where it has no meaning.

    Of more than 30 s it is the mean over equal parts of at most as many, without those in which the
    reference has no utterance; a part that is silent in the estimate alone has the lowest score.

    Raises as `pesq_nb` and `pesq_wb` say.
    """
    pair, sample_rate = np.stack(paired(estimate, reference)), whole(sample_rate)
    if sample_rate != rate:
        pair = soxr.resample(pair.T, sample_rate, rate).T
    package, scores = extra("pesq"), []
    if not (finite(pair) and pair[0].any()):  # on NaN the package may never end
        return np.nan
    for clip, original in np.array_split(pair, -(-pair.shape[1] // (PESQ_SECONDS * rate)), axis=1):
        try:
            if original.any():
                scores.append(float(package.pesq(rate, original, clip, mode)))
        except package.NoUtterancesError:
            continue
        except ValueError:  # silent estimate
            scores.append(PESQ_LEAST[mode])
    return float(np.mean(scores)) if scores else np.nan


def find_weights(given: str | Path | None, variable: str, default: Path, advice: str,
                 files: tuple[str, ...] = ()) -> Path:
    """The path given, else that in an environment variable, else the default one.

    Raises WeightsError, which names the missing file, the variable and `advice`, when it does not
    exist, or does not hold `files`.
    """
    path = Path(given or os.environ.get(variable) or default).expanduser()
    for file in [path / name for name in files] or [path]:
        if not file.is_file():
            raise WeightsError(f"{file}: no such weights; {advice}, or name another place in "
                               f"${variable}")
    return path


def load_state_dict(path: Path) -> dict:
    """`checkpoint["state_dict"]` of a PyTorch file, of which no code is run; or WeightsError."""
    from ..models.pickled import CheckpointError, read_checkpoint

    try:
        return read_checkpoint(path)["state_dict"]
    except (CheckpointError, KeyError, TypeError) as error:
        raise WeightsError(f"{path}: not a checkpoint with a state_dict ({error}); "
                           "fetch it again") from None
