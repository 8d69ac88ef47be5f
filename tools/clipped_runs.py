"""How much of a prior's correction of clipped samples counts, by the length of their run.

    python tools/clipped_runs.py SPEECH [CLIPS]

Of each recording the loudest 4 s are clipped. First the factor on the correction that brings
S-SPADE's guess g nearest to the truth x, Σ(D − g)(x − g)/Σ(D − g)², by the runs' length at 16 kHz,
which `operators.clip.correctable` follows; then what `declip` gains on the guess;
PESQ as a median, since now and then it aligns a clip wrongly.
"""

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from voxmend import Damage, Restorer
from voxmend.benchmarks.restoration import load_clips
from voxmend.benchmarks.scoring import RATE
from voxmend.diffusion.told import GuessDenoiser, Posterior
from voxmend.dsp import degrade
from voxmend.dsp.rms import rms
from voxmend.dsp.runs import runs
from voxmend.metrics.pesq_wb import pesq_wb
from voxmend.metrics.si_snr import si_snr
from voxmend.operators import Clip, Evidence
from voxmend.restore.damage import Clipping

SDRS, LENGTHS = (3, 7, 10, 15, 20, 25), (1, 2, 3, 4, 5, 6, 9, 17, 33)


@torch.inference_mode()
def products(restorer: Restorer, clean: np.ndarray,
             evidence: Evidence) -> Iterator[tuple[int, float, float]]:
    """Of every run its length, and the correction's product with what was due and with itself."""
    prior = restorer.prior.innermost
    assert isinstance(prior, GuessDenoiser)
    noise = torch.randn(evidence.guess.shape, generator=torch.Generator().manual_seed(0))
    whole = Posterior(prior, Evidence(evidence.guess, evidence.marks),
                      restorer.task.for_prior(prior).speeds)
    found = whole(evidence.guess + prior.sigma_max * noise, prior.sigma_max)
    made, due = (found - evidence.guess)[0, 0].numpy(), clean - evidence.guess[0, 0].numpy()
    for first, last in runs(evidence.marks[0, 0, 0].numpy() != 0):
        part = slice(first, last)
        yield last - first, float(made[part] @ due[part]), float(made[part] @ made[part])


def main(speech: Path, clips: int = 16) -> None:
    """Prints factors by length, then gains on the guess and PESQ."""
    cleans = load_clips(speech, clips)
    restorer = Restorer("declip", device="cpu")
    lengths = " | ".join(f"{a}–{b - 1}" if b - a > 1 else f"{a}"
                         for a, b in pairwise(LENGTHS))
    print(f"{len(cleans)} clips, prior {restorer.hash}\n\n| input SDR, dB | {lengths} | "
          f"{LENGTHS[-1]}+ |\n|{'---|' * (len(LENGTHS) + 1)}")
    gained = []
    for sdr in SDRS:
        found, scores = [], []
        for clean in cleans:
            clipped = degrade.clip(clean, degrade.clip_level_for_sdr(clean, sdr))
            level, scale = float(np.abs(clipped).max()), 0.1 / rms(clipped)
            y = torch.from_numpy(clipped * scale).float()[None, None]
            evidence = Clip(level * scale).evidence(y)
            found += products(restorer, clean * scale, evidence)
            guess = evidence.guess[0, 0].numpy()
            made = restorer(clipped, RATE, Damage((Clipping(level),), rms=float(clipped.std())))
            scores.append([f(wave, clean) for wave in (guess, made)
                           for f in (si_snr, lambda a, b: pesq_wb(a, b, RATE))])
        table, place = np.array(found), np.digitize([run[0] for run in found], LENGTHS) - 1
        factors = [table[place == n, 1].sum() / max(table[place == n, 2].sum(), 1e-12)
                   for n in range(len(LENGTHS))]
        print(f"| {sdr} | {' | '.join(f'{factor:.2f}' for factor in factors)} |", flush=True)
        before, pesq_before, after, pesq_after = np.array(scores).T
        gains = after - before
        gained.append(f"| {sdr} | {gains.mean():+.2f} | {gains.min():+.2f} | "
                      f"{np.median(pesq_before):.3f} | {np.median(pesq_after):.3f} |")
    print("\n| input SDR, dB | SI-SNR on the guess, dB | least of a clip | median PESQ-WB of the "
          "guess | after |\n|---|---|---|---|---|", *gained, sep="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
