"""What a prior that corrects first guesses of clipped samples gains, in all runs or long ones.

    python tools/clipped_runs.py SPEECH [CLIPS]

Of each recording the loudest 3 s are clipped. `shortest` is the shortest run of clipped samples, at
16 kHz, in which the prior's correction counts; in shorter ones S-SPADE's guess stays.
"""

import sys
from pathlib import Path

import numpy as np

from voxmend import Damage, Restorer, audio
from voxmend.dsp import degrade
from voxmend.dsp.runs import runs
from voxmend.metrics.pesq_wb import pesq_wb
from voxmend.metrics.si_snr import si_snr
from voxmend.operators import Clip
from voxmend.restore.damage import Clipping
from voxmend.restore.mender import apply

RATE, SECONDS = 16000, 3
SDRS, SHORTEST = (3, 7, 10, 15, 20, 25), (1, 3, 4, 5)


def loudest(path: Path) -> np.ndarray:
    """The loudest seconds of a recording. Shape: `[T]`."""
    wave = audio.mixdown(audio.load(path, RATE))
    power = np.convolve(wave**2, np.ones(SECONDS * RATE), "valid")
    return wave[power.argmax():][:SECONDS * RATE]


def corrected(restorer: Restorer, clean: np.ndarray, sdr: float) -> list[np.ndarray]:
    """The guess, and what the prior makes of it where it counts from each of `SHORTEST` on."""
    clipped = degrade.clip(clean, degrade.clip_level_for_sdr(clean, sdr))
    level = float(np.abs(clipped).max())
    told = Damage((Clipping(level),), rms=float(clipped.std()))
    guess = apply(Clip(level).start, clipped[None])[0]
    made = restorer(clipped, RATE, told)
    found = [guess]
    for shortest in SHORTEST:
        mixed = guess.copy()
        for first, last in runs(np.abs(clipped) >= 0.999 * level, shortest):
            mixed[first:last] = made[first:last]
        found.append(mixed)
    return found


def main(speech: Path, clips: int = 16) -> None:
    """Prints gains on the guess and PESQ."""
    cleans = [loudest(path) for path in sorted(speech.rglob("*.flac"))[:clips]]
    restorer = Restorer("declip", device="cpu")
    print(f"{len(cleans)} clips, prior {restorer.hash}\n\n| input SDR, dB | shortest | SI-SNR on "
          "the guess, dB | least of a clip | PESQ-WB |\n|---|---|---|---|---|")
    for sdr in SDRS:
        scores = np.array([[(si_snr(wave, clean), pesq_wb(wave, clean, RATE))
                            for wave in corrected(restorer, clean, sdr)] for clean in cleans])
        print(f"| {sdr} | guess | 0.00 | 0.00 | {scores[:, 0, 1].mean():.3f} |")
        for number, shortest in enumerate(SHORTEST, 1):
            gains = scores[:, number, 0] - scores[:, 0, 0]
            print(f"| {sdr} | {shortest} | {gains.mean():+.2f} | {gains.min():+.2f} | "
                  f"{scores[:, number, 1].mean():.3f} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
