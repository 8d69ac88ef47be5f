"""How much of their energy recordings hold below 40 Hz, where nobody speaks.

    python tools/rumble.py FOLDER ...

Prints for each folder, in dB, the median over its recordings, the level that one in twenty passes,
and the highest. What clean speech holds there, an enhancer learns to keep.
"""

import sys
from pathlib import Path

import numpy as np

from voxmend import audio
from voxmend.benchmarks.scoring import RATE
from voxmend.training.corpus import audio_files

TOP = 40  # Hz


def share(wave: np.ndarray) -> float:
    """10 log₁₀ of the energy below `TOP` over all. Shape: `[T]`."""
    energy = np.abs(np.fft.rfft(wave)) ** 2
    low = energy[np.fft.rfftfreq(len(wave), 1 / RATE) < TOP].sum()
    return 10 * float(np.log10(low / energy.sum() + 1e-12))


def main(*folders: str) -> None:
    """Prints the table."""
    print("| recordings | median | one in twenty | highest |\n|---|---|---|---|")
    for folder in map(Path, folders):
        found = [share(audio.load(file, RATE).mean(0)) for file in audio_files(folder)]
        cells = " | ".join(f"{level:.1f}" for level in np.percentile(found, (50, 95, 100)))
        print(f"| {folder.name} ({len(found)}) | {cells} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
