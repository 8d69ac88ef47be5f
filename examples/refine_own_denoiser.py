"""A denoiser of one's own in front of the refiner (Diffiner).

    python examples/refine_own_denoiser.py [CLEAN]

Any function of a channel `[T]` and its rate will do; here, spectral subtraction (Boll 1979).
"""

import sys
from pathlib import Path

import numpy as np
from scipy.signal import istft, stft

import voxmend
from voxmend import audio
from voxmend.dsp import degrade
from voxmend.metrics.si_snr import si_snr

DEMO = Path(voxmend.__file__).parent / "demo" / "clean.flac"


def subtract(wave: np.ndarray, rate: int) -> np.ndarray:
    """|Ŝ| = max(|Y| − 4N, 0.1 |Y|), N the 20th percentile of |Y| over time, in every bin."""
    _, _, bins = stft(wave, rate, nperseg=512)
    size = np.abs(bins)
    noise = np.percentile(size, 20, axis=1, keepdims=True)
    gain = np.maximum(1 - 4 * noise / (size + 1e-9), 0.1)
    return istft(bins * gain, rate, nperseg=512)[1][:len(wave)].astype(np.float32)


def main(path: str = str(DEMO)) -> None:
    """Prints the SI-SNR of noisy, enhanced and refined speech."""
    rate = 16000
    clean = audio.load(path, rate)[0]
    noisy = degrade.white_noise(clean, 5, 0)
    enhanced = voxmend.enhance(noisy, rate, method=subtract)
    refined = voxmend.enhance(noisy, rate, method=subtract, refine=True)
    for name, wave in (("noisy", noisy), ("subtracted", enhanced), ("refined", refined)):
        print(f"{name:>10}: {si_snr(wave, clean):6.2f} dB")


if __name__ == "__main__":
    main(*sys.argv[1:])
