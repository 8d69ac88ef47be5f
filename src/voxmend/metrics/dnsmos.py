"""DNSMOS: opinion scores predicted without a reference."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from scipy.signal import get_window

from ..dsp.stft import mel_basis
from ._common import find_weights, mono_16k, onnx_session, shipped

RATE, SEGMENT = 16000, 144160  # 9.01 s
MODELS = ("sig_bak_ovr.onnx", "model_v8.onnx")  # P.835, P.808
# a raw score r stands for the MOS a·r² + b·r + c (the fit for non-personalised models)
FIT = {"sig": (-0.08397278, 1.22083953, 0.0052439), "bak": (-0.13166888, 1.60915514, -0.39604546),
       "ovrl": (-0.06766283, 1.11546468, 0.04602535)}


@lru_cache
def _sessions(folder: Path) -> list[Any]:
    return [onnx_session(folder / name) for name in MODELS]


def log_mel(segment: np.ndarray) -> np.ndarray:
    """Input of the P.808 model: 120 mel bands in dB under the loudest, −40…0 dB mapped to 0…1.

    Power spectra of 321 samples (periodic Hann) every 160, centred and padded with zeros; the
    floor is at −80 dB, that is −1. Same as librosa's melspectrogram and power_to_db(ref=max).

    Shape: `[144160]` to `[900, 120]`, float32.
    """
    frames = sliding_window_view(np.pad(segment[:-160], 160), 321)[::160]
    power = np.abs(np.fft.rfft(frames * get_window("hann", 321))) ** 2
    mel = power @ mel_basis(RATE, 321, 120).numpy().T.astype(np.float64)
    decibels = 10 * np.log10(np.maximum(mel, 1e-10) / max(mel.max(), 1e-10))
    return ((np.maximum(decibels, -80) + 40) / 40).astype(np.float32)


def dnsmos(estimate: ArrayLike, sample_rate: int,
           models: str | Path | None = None) -> dict[str, float]:
    """Predicted mean opinion scores, about 1 to 5; higher is better.

    The mean over segments of 9.01 s that start every second; shorter clips are doubled until they
    are long enough. As in the release, whose rounding loses a sample of them, those that start at
    7 to 23 s do not count. (Reddy et al. 2021 and 2022, DNSMOS and DNSMOS P.835)

    Args:
        models: folder that holds Microsoft's `sig_bak_ovr.onnx` and `model_v8.onnx`; default
            `$VOXMEND_DNSMOS`, or that of the installed package speechmos.

    Returns:
        of speech `sig`, background `bak` and the whole `ovrl` (P.835), of the whole `p808` (P.808).

    Shape: `[T]`.

    Raises ValueError for a signal that is empty, not finite or not 1-D, WeightsError where there
    are no models, ImportError without onnxruntime.
    """
    wave = mono_16k(estimate, sample_rate, shortest=1)
    bundled = shipped("speechmos", "speechmos/dnsmos_models")
    folder = find_weights(models, "VOXMEND_DNSMOS", bundled,
                          "pip install --no-deps speechmos, which has them", MODELS)
    p835, p808 = _sessions(folder)
    while len(wave) < SEGMENT:
        wave = np.concatenate([wave, wave])
    count = int(len(wave) // RATE - SEGMENT / RATE) + 1
    segments = [wave[i * RATE:i * RATE + SEGMENT] for i in range(count)
                if int((i + SEGMENT / RATE) * RATE) == i * RATE + SEGMENT]
    scores: dict[bytes, dict[str, float]] = {}
    for segment in segments:  # of a doubled clip of whole seconds, many are the same
        if segment.tobytes() not in scores:
            raw = p835.run(None, {"input_1": segment[None].astype(np.float32)})[0][0]
            fitted = {name: float(np.polyval(fit, r))
                      for (name, fit), r in zip(FIT.items(), raw, strict=True)}
            opinion = float(p808.run(None, {"input_1": log_mel(segment)[None]})[0][0, 0])
            scores[segment.tobytes()] = {**fitted, "p808": opinion}
    return {name: float(np.mean([scores[segment.tobytes()][name] for segment in segments]))
            for name in (*FIT, "p808")}
