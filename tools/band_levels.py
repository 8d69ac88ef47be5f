"""How loud the bands are that `extend` makes, beside the true ones.

    python tools/band_levels.py DATA [CLIPS]

Of every clip of DATA (the loudest 4 s of its files, or of those in test/) what lies 300 Hz or more
above the cut-off, up to 7.5 kHz: energy over the true energy, and the median of frames of 20 ms.
"""

import sys
from pathlib import Path

import numpy as np
from scipy.signal import butter, sosfilt

from voxmend import Restorer
from voxmend.benchmarks.restoration import load_clips, lowpassed
from voxmend.benchmarks.scoring import RATE

FRAME = RATE // 50


def ratios(made: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Of energies, and the median of that of frames, in dB. Shape: `[T]`, `[T]`."""
    size = len(true) // FRAME * FRAME
    frames = [np.square(wave[:size]).reshape(-1, FRAME).sum(1) + 1e-9 for wave in (made, true)]
    each = 10 * np.log10(frames[0] / frames[1])
    return float(10 * np.log10(frames[0].sum() / frames[1].sum())), float(np.median(each))


def main(data: Path, count: int | None = None) -> None:
    """Prints a table of both cut-offs."""
    clips, extend = load_clips(data, count), Restorer("extend")
    print("| from | energy, dB | median of frames, dB |\n|---|---|---|")
    for cutoff in (4000.0, 2000.0):
        band = butter(8, [cutoff + 300, 7500], "band", fs=RATE, output="sos")
        found = []
        for number, clean in enumerate(clips):
            example = lowpassed(cutoff)(clean, number)
            made = extend(example.damaged[None], RATE, example.damage)[0]
            found.append(ratios(sosfilt(band, made), sosfilt(band, clean)))
        energy, median = np.mean(found, 0)
        print(f"| {cutoff / 1000:g} kHz | {energy:.1f} | {median:.1f} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:3]))
