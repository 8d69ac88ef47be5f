"""A corpus with the top of its band given back, which its coding took.

    python tools/equalise.py speech/train flat/train

Networks learn what they hear: speech that is 13 dB too weak above 7.6 kHz, as what was resampled
carelessly to be coded as Opus, teaches that there is none. Every recording of IN, at 16 kHz, passes
the inverse of that roll-off; OUT gets FLACs of the same names. What is there already stays.
"""

import argparse
from pathlib import Path

import numpy as np

from voxmend import audio
from voxmend.training.corpus import audio_files

RATE = 16000
# Hz and dB, as tools/spectra.py prints it of the training speakers beside the validation ones.
ROLL_OFF = ((7100, 0.0), (7250, -1.5), (7375, -4.5), (7500, -8.0), (7625, -11.0), (7750, -13.0),
            (8000, -13.5))


def equalised(wave: np.ndarray) -> np.ndarray:
    """A recording at `RATE` without the roll-off, at most at full scale. Shape: `[C, T]`."""
    size = 1 << (wave.shape[1] + RATE).bit_length()  # silence between the end and the start
    hertz, decibels = np.array(ROLL_OFF).T
    gain = 10 ** (-np.interp(np.fft.rfftfreq(size, 1 / RATE), hertz, decibels) / 20)
    flat = np.fft.irfft(np.fft.rfft(wave, size) * gain, size)[:, :wave.shape[1]]
    return (flat / max(1.0, float(np.abs(flat).max(initial=0)))).astype(np.float32)


def main() -> None:
    """Equalises a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="IN", type=Path)
    parser.add_argument("out", metavar="OUT", type=Path)
    given = parser.parse_args()
    for file in audio_files(given.folder):
        target = (given.out / file.relative_to(given.folder)).with_suffix(".flac")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            audio.save(target, equalised(audio.load(file, RATE)), RATE)


if __name__ == "__main__":
    main()
