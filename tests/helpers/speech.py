"""Speech-like waves and the sizes of a tiny network."""

import numpy as np

CONFIG = dict(channels=16, blocks=2, kernel=3, dilations=[1, 2], expansion=2)


def voice(seconds=2.0, rate=16000, channels=1, seed=0):
    """Harmonics of a gliding pitch under a syllable-like envelope, `[C, T]`."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch = 2 * np.pi * np.cumsum(120 + 30 * np.sin(3 * time + seed)) / rate
    harmonics = sum(np.sin(k * pitch + rng.uniform(0, 6)) / k for k in range(1, 40)
                    if k * 150 < rate / 2)
    wave = 0.1 * harmonics * (0.3 + np.sin(9 * time) ** 2)
    wave = wave + 1e-4 * rng.standard_normal(len(time))
    return np.stack([wave * (0.5 + 0.5 / (c + 1)) for c in range(channels)]).astype(np.float32)


def speech(seed=0, channels=1):
    """A voice with breath noise up to 8 kHz, pauses, and room noise 60 dB below."""
    rng = np.random.default_rng(seed)
    wave = voice(6.0, channels=channels, seed=seed)
    time = np.arange(wave.shape[1]) / 16000
    breath = 0.05 * rng.standard_normal(wave.shape[1]) * (np.sin(5 * time) > 0.8)
    pauses = (np.sin(2 * time + seed) > -0.7).astype(float)
    smooth = np.convolve(pauses, np.hanning(800) / 400, "same")
    return ((wave + breath) * smooth + 1e-4 * rng.standard_normal(wave.shape[1])).astype(np.float32)
