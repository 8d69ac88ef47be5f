"""Two voices taken apart: the clip, and a lower one that is the same clip slowed down.

    python examples/separate_voices.py [CLEAN]
"""

import sys
from itertools import permutations
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

import voxmend
from voxmend import audio
from voxmend.metrics.si_snr import si_snr

DEMO = Path(voxmend.__file__).parent / "demo" / "clean.flac"


def main(path: str = str(DEMO)) -> None:
    """Mixes, separates, and prints the SI-SNR of the better order."""
    rate = 16000
    high = audio.load(path, rate)[0]
    low = resample_poly(high[::-1].copy(), 5, 4)[:len(high)].astype(np.float32)
    mixture = high + low
    voices = voxmend.separate(mixture, rate)  # [2, T]
    sources = (high, low)
    best = max(permutations(voices),
               key=lambda order: sum(map(si_snr, order, sources)))
    for name, voice, source in zip(("high", "low"), best, sources, strict=True):
        print(f"{name:>4}: {si_snr(mixture, source):5.2f} -> {si_snr(voice, source):5.2f} dB")


if __name__ == "__main__":
    main(*sys.argv[1:])
