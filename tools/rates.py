"""How well recordings at several sample rates are mended: `python tools/rates.py SPEECH [CLIPS]`.

Loudest 4 s of each file of a folder of clean speech, brought from 16 kHz to each rate, and clipped,
made noisy or holed there. Prints SI-SNR in dB at 16 kHz, damaged and mended.
"""

import sys
from pathlib import Path

import numpy as np

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


def main(folder: Path, clips: int) -> None:
    """Prints the table."""
    print("| task | " + " | ".join(f"{rate} Hz" for rate in RATES) + " |")
    print("|---|" + "---|" * len(RATES))
    speech = restoration.load_clips(folder, clips)
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
        print(f"| {task} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 8)
