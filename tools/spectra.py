"""What a corpus lacks of its band beside another: `python tools/spectra.py FOLDER OTHER`.

Prints by frequency how far the long-term spectrum of FOLDER lies above that of OTHER, less what it
does from 6.5 to 7.1 kHz: medians over speakers, of the first recording of each, at 16 kHz, of the
louder half of its frames. Networks take for speech what they heard (`docs/training.md`).
"""

import sys
from pathlib import Path

import numpy as np

from voxmend import audio
from voxmend.training.corpus import audio_files, speaker

RATE, FRAME = 16000, 512
HERTZ = (4000, 6000, 7000, 7125, 7250, 7375, 7500, 7625, 7750, 7875, 8000)


def spectrum(wave: np.ndarray) -> np.ndarray:
    """Mean power of the louder half of a recording's frames, in dB. Shape: `[T]` to `[257]`."""
    frames = wave[:len(wave) // FRAME * FRAME].reshape(-1, FRAME) * np.hanning(FRAME)
    power = np.abs(np.fft.rfft(frames)) ** 2
    loud = power.sum(1) >= np.median(power.sum(1))
    return 10 * np.log10(power[loud].mean(0) / power[loud].mean(0)[16:200].sum() + 1e-12)


def of_speakers(folder: Path) -> np.ndarray:
    """The median spectrum over the speakers of a folder."""
    first: dict[str, Path] = {}
    for file in audio_files(folder):
        first.setdefault(speaker(file.relative_to(folder)), file)
    return np.median([spectrum(audio.load(file, RATE)[0]) for file in first.values()], axis=0)


def main(folder: Path, other: Path) -> None:
    """Prints the table."""
    bins = np.linspace(0, RATE / 2, FRAME // 2 + 1)
    above = of_speakers(folder) - of_speakers(other)
    above = np.convolve(np.pad(above, 2, "edge"), np.ones(5) / 5, "valid")  # over 156 Hz
    above -= above[(bins >= 6500) & (bins < 7100)].mean()
    print("| Hz | dB |\n|---|---|")
    for hertz in HERTZ:
        print(f"| {hertz} | {np.interp(hertz, bins, above):.1f} |")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
