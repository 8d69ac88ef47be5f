"""Enhances a recording at 16 kHz as `voxmend enhance` does, at one speed, without PyTorch.

    voxmend export enhancer16k enhancer16k.onnx
    python examples/enhance_onnx.py enhancer16k.onnx noisy.wav speech.wav

Needs numpy, onnxruntime and soundfile.
"""

import json
import sys

import numpy as np
import onnxruntime
import soundfile

LEVEL, SEGMENT, SHARED = 0.1, 10, 2  # RMS; seconds


def enhance(session: onnxruntime.InferenceSession, wave: np.ndarray, rate: int) -> np.ndarray:
    """Speech in a recording, `[T]` to `[T]`, by segments that are cross-faded where they meet."""
    noise = np.random.default_rng(0).standard_normal(len(wave))
    signals = {"recording": wave, "noise": noise}
    length, shared, out = SEGMENT * rate, SHARED * rate, np.zeros(len(wave), np.float32)
    for start in range(0, max(1, len(wave) - shared), length - shared):
        piece = slice(start, start + length)
        (speech,) = session.run(None, {told.name: signals[told.name][None, None, piece].astype("f4")
                                       for told in session.get_inputs()})
        fade = np.ones(speech.shape[-1])
        if start:
            fade[:shared] = np.linspace(0, 1, shared)
        out[piece] = out[piece] * (1 - fade) + speech[0, 0] * fade
    return out


def main(network: str, noisy: str, clean: str) -> None:
    """Enhances every channel of a file."""
    session = onnxruntime.InferenceSession(network)
    rate = json.loads(session.get_modelmeta().custom_metadata_map["voxmend"])["sample_rate"]
    recording, found = soundfile.read(noisy, always_2d=True)
    if found != rate:
        sys.exit(f"{noisy}: is at {found} Hz and the network at {rate} Hz; resample it")
    scale = LEVEL / max(np.sqrt(np.mean(recording**2)), 1e-9)
    speech = [enhance(session, channel * scale, rate) / scale for channel in recording.T]
    soundfile.write(clean, np.stack(speech, 1), rate)


if __name__ == "__main__":
    main(*sys.argv[1:])
