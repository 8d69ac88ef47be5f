"""PLCMOS: an opinion score of concealed losses, predicted without a reference."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from ._common import find_weights, mono_16k, onnx_session, shipped

SIZE, HOP = 512, 256
RATERS = 15


@lru_cache
def _session(path: Path) -> Any:
    return onnx_session(path)


def log_power(wave: np.ndarray) -> np.ndarray:
    """ln|X|²/20 of frames of 512 samples (Hamming) every 256, begun half a frame early.

    Bins that are zero lie 120 dB under the least other one. Shape: `[T]` to `[n, 257]`, float32.
    """
    count = -(-(len(wave) + HOP) // HOP)
    padded = np.pad(wave, (HOP, (count - 1) * HOP + SIZE - HOP - len(wave)))
    power = np.abs(np.fft.rfft(sliding_window_view(padded, SIZE)[::HOP]
                               * np.hamming(SIZE + 1)[:-1])) ** 2
    heard = power > 0
    least = np.log(power[heard].min()) - 12 * np.log(10) if heard.any() else -8 * np.log(10)
    logs = np.full(power.shape, least)
    logs[heard] = np.log(power[heard])
    return (logs / 20).astype(np.float32)


def plcmos(estimate: ArrayLike, sample_rate: int,
           model: str | Path | None = None) -> dict[str, float]:
    """Predicted mean opinion score of speech in which gaps were filled, 1 to 5; higher is better.

    The mean over 15 raters, random vectors that are the same for every clip; the release draws them
    anew. (Diener et al. 2023, PLCMOS, version 2)

    Args:
        model: Microsoft's `plcmos_v2.onnx`; default `$VOXMEND_PLCMOS`, or that of the installed
            package speechmos.

    Returns:
        the score as `plcmos`.

    Shape: `[T]`.

    Raises ValueError for a signal that is empty, not finite or not 1-D, WeightsError where there
    is no model, ImportError without onnxruntime.
    """
    wave = mono_16k(estimate, sample_rate, shortest=1)
    path = find_weights(model, "VOXMEND_PLCMOS",
                        shipped("speechmos", "speechmos/plcmos_models/plcmos_v2.onnx"),
                        "pip install --no-deps speechmos, which has it")
    session, heard = _session(path), log_power(wave)[None, None]
    raters = np.random.default_rng(0).normal(size=(RATERS, 1, 64)).astype(np.float32)
    scores = [session.run(None, {"degraded_audio": heard, "rater_embed": rater})[0]
              for rater in raters]
    return {"plcmos": float(np.mean(scores))}
