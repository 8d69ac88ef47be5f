"""Time and peak memory of mending a long file.

    python tools/long_file.py SPEECH MINUTES [LEVEL]

Joins recordings until they last MINUTES, mends the file by default settings and prints the time and
the peak resident memory of that command. The file is 16 kHz mono without a band above 4 kHz and
with gaps or, with LEVEL, 44.1 kHz stereo whose every recording is clipped at LEVEL of its peak.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from voxmend import audio
from voxmend.dsp import degrade
from voxmend.training import corpus


def dull(wave: np.ndarray) -> np.ndarray:
    """Without its upper band, and with gaps. Shape: `[1, T]` to the same, 16 kHz."""
    return degrade.gaps(degrade.lowpass(wave, 4000, 16000), 16000, 50, 2000)[0]


def clipped(wave: np.ndarray, level: float) -> np.ndarray:
    """Clipped, the right channel softer. Shape: `[1, T]` at 16 kHz to `[2, T']` at 44.1 kHz."""
    loud = audio.resample(wave / np.abs(wave).max(), 16000, 44100)
    return degrade.clip(loud, level) * np.float32([[1], [0.7]])


def main(folder: Path, minutes: float, level: float | None = None) -> None:
    """Prints the time and the peak memory."""
    files = corpus.audio_files(folder)
    with tempfile.TemporaryDirectory() as work:
        source, left, turn = Path(work) / "long.wav", round(minutes * 60 * 16000), 0
        with audio.Writer(source, 44100 if level else 16000, 2 if level else 1) as writer:
            while left > 0:
                wave = audio.load(files[turn % len(files)], 16000)[:1, :left]
                writer.write(clipped(wave, level) if level else dull(wave))
                left, turn = left - wave.shape[1], turn + 1
        begun = time.monotonic()
        subprocess.run(["voxmend", "mend", source, Path(work) / "mended.wav"], check=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        print(f"{minutes:g} minutes: {time.monotonic() - begun:.0f} s, {peak:.2f} GB resident")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(float, sys.argv[2:]))
