"""Posterior draws of an inpainting, their mean, and their spread beside the error, gap by gap.

    python examples/uncertainty.py [CLEAN [DRAWS]]
"""

import sys
from pathlib import Path

import numpy as np

import voxmend
from voxmend import audio
from voxmend.dsp import degrade
from voxmend.metrics.si_snr import si_snr

DEMO = Path(voxmend.__file__).parent / "demo" / "clean.flac"


def main(path: str = str(DEMO), draws: str = "4") -> None:
    """Fills gaps several times; prints SI-SNR in the gaps, and spread and error of every gap."""
    rate = 16000
    clean = audio.load(path, rate)[0][:3 * rate]
    holes, kept = degrade.gaps(clean, rate, milliseconds=60)
    restorer = voxmend.Restorer("inpaint", draws=int(draws))
    mean, std = np.concatenate([*restorer.stream(audio.ArrayReader(holes[None], rate))], axis=1)

    gaps = ~kept
    print(f"mean of {draws} draws: {si_snr(mean[gaps], clean[gaps]):.2f} dB in the gaps")
    edges = np.flatnonzero(np.diff(gaps.astype(int), prepend=0, append=0)).reshape(-1, 2)
    for start, end in edges:
        error = np.sqrt(np.mean((mean - clean)[start:end] ** 2))
        spread = np.sqrt(np.mean(std[start:end] ** 2))
        print(f"{start / rate:5.2f} s: spread {spread:.4f}, error {error:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
