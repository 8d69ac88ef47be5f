"""How well recordings at several sample rates are mended.

    python tools/rates.py SPEECH [--clips 4] [--out docs/benchmark.md]

Loudest 4 s of each file of a folder of clean speech, brought from 16 kHz to each rate, and clipped,
made noisy or holed there. Prints SI-SNR in dB at 16 kHz, damaged and mended.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from figures import replace_between
from voxmend import Damage, Restorer, audio
from voxmend.benchmarks import restoration
from voxmend.dsp import degrade
from voxmend.metrics.si_snr import si_snr
from voxmend.restore.damage import Clipping

RATES = (8000, 16000, 22050, 44100, 48000)
GAPS = tuple((start, start + 0.02) for start in np.arange(0.25, 4, 0.25))


def damaged(task: str, clean: np.ndarray, rate: int) -> tuple[np.ndarray, Damage]:
    """A damaged copy, and what was done to it."""
    if task == "declip":
        level = degrade.clip_level_for_sdr(clean, 6.0)
        return degrade.clip(clean, level), Damage((Clipping(level),))
    if task == "denoise":
        # as dense a noise at every rate, 15 dB under the speech at 16 kHz
        std = np.sqrt(np.mean(clean**2) * rate / 16000) * 10 ** (-15 / 20)
        noise = std * np.random.default_rng(0).normal(size=clean.shape)
        return (clean + noise).astype(np.float32), Damage(noise=float(std))
    holed = clean.copy()
    for start, end in GAPS:
        holed[round(start * rate):round(end * rate)] = 0
    return holed, Damage(gaps=GAPS)


def table(speech: list[np.ndarray]) -> Iterator[str]:
    """The lines of the table."""
    yield "| task | " + " | ".join(f"{rate} Hz" for rate in RATES) + " |"
    yield "|---|" + "---|" * len(RATES)
    for task in ("declip", "denoise", "inpaint"):
        restorer, cells = Restorer(task), []
        for rate in RATES:
            scores = []
            for clip in speech:
                clean = audio.resample(clip[None], 16000, rate)[0]
                wave, damage = damaged(task, clean, rate)
                found = [audio.resample(w[None], rate, 16000)[0]
                         for w in (clean, wave, restorer(wave, rate, damage))]
                scores.append([si_snr(estimate, found[0]) for estimate in found[1:]])
            before, after = np.mean(scores, axis=0)
            cells.append(f"{before:.1f} → {after:.1f}")
        yield f"| {task} | " + " | ".join(cells) + " |"


def main() -> None:
    """Prints the table, and writes it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("speech", type=Path)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--out", type=Path, help="a page with a section <!-- rates -->")
    args = parser.parse_args()
    lines = []
    for line in table(restoration.load_clips(args.speech, args.clips)):
        print(line, flush=True)
        lines.append(line)
    if args.out:
        replace_between(args.out, "rates", lines)


if __name__ == "__main__":
    main()
