"""How the band above 8 kHz comes through `enhance`: `python tools/upper_band.py SPEECH NOISE`.

SPEECH and NOISE hold recordings at 32 kHz or more, SPEECH in a folder for each speaker. Each
speaker says what fits into 12 s, words a quarter of a second apart, in every noise in turn; the
noise above 8 kHz is brought to 0, 10 and 20 dB below the speech there, that below to 10 dB. Printed
are, above 8 kHz, the signal-to-error ratio and the log-spectral distance up to 18 kHz.
"""

import argparse
from itertools import cycle
from pathlib import Path

import numpy as np
import torch

from voxmend import audio
from voxmend.dsp.stft import STFT
from voxmend.metrics.si_snr import si_snr
from voxmend.systems import separator
from voxmend.training.corpus import audio_files

RATE, LOW, SECONDS, LEVELS = 44100, 16000, 12, (0, 10, 20)


def halves(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What lies below 8 kHz, and above. Shape: `[T]` to `[T]` twice."""
    low = audio.resample(audio.resample(wave[None], RATE, LOW), LOW, RATE)
    below = audio.fit(low, len(wave))[0]
    return below, wave - below


def said(folder: Path) -> np.ndarray:
    """The first seconds of what a speaker says, with pauses. Shape: `[T]`."""
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < SECONDS * RATE:
        for file in audio_files(folder):
            parts += [audio.load(file, RATE).mean(0), np.zeros(RATE // 4, np.float32)]
    return np.concatenate(parts)[:SECONDS * RATE]


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Log-spectral distance from 8.2 to 18 kHz in dB, down to -80 dB. Shape: `[T]` twice."""
    stft = STFT(1024, 256)
    hertz = np.arange(stft.bins) * RATE / 1024
    spectra = stft.forward(torch.from_numpy(np.stack([one, other])))
    levels = 10 * (spectra[..., (hertz > 8200) & (hertz < 18000)].abs().square() + 1e-8).log10()
    return float((levels[0] - levels[1]).square().mean(-1).sqrt().mean())


def mixtures(speech: Path, noise: Path):
    """Speech in noise, with the level above 8 kHz: `(level, speech, noisy)`."""
    noises = cycle(file for file in audio_files(noise)
                   if audio.Reader(file).frames >= SECONDS * audio.Reader(file).sample_rate)
    for folder in sorted(path for path in speech.iterdir() if path.is_dir()):
        clean = said(folder)
        for level in LEVELS:
            sound = audio.load(next(noises), RATE).mean(0)[:len(clean)]
            noisy = clean.copy()
            for part, other, below in zip(halves(clean), halves(sound), (10, level), strict=True):
                noisy += other * np.float32(np.linalg.norm(part) / (np.linalg.norm(other) + 1e-9)
                                            * 10 ** (-below / 20))
            yield level, clean, noisy


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech", type=Path)
    parser.add_argument("noise", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    enhancer = separator.load("enhance", "voxmend", device="cpu")
    rows: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for level, clean, noisy in mixtures(given.speech, given.noise):
        enhanced = enhancer(noisy, RATE)[0]
        upper = halves(clean)[1]
        for name, wave in (("noisy", noisy), ("nothing kept", halves(enhanced)[0]),
                           ("enhanced", enhanced)):
            rows.setdefault((level, name), []).append(
                (si_snr(halves(wave)[1], upper), distance(wave, clean)))
    print("| noise above 8 kHz | | SI-SNR dB | log-spectral distance dB |\n|---|---|---|---|")
    for (level, name), found in sorted(rows.items(), key=lambda row: row[0][0]):
        gain, apart = np.mean(found, 0)
        shown = "–" if name == "nothing kept" else f"{gain:.1f}"
        print(f"| {level} dB below | {name} | {shown} | {apart:.1f} |")


if __name__ == "__main__":
    main()
