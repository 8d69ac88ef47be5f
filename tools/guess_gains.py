"""How much nearer to the truth a prior is than the first guesses that it is told, by their kind.

    python tools/guess_gains.py PRIOR GUESSES ...

PRIOR is a bundled name or a file, GUESSES are folders of shards as `tools/first_guesses.py` writes
them. Prints the mean gain of one call in dB within the samples that are not known, and its standard
error: more on the guesses of its training than on new ones of that speech is learnt by heart.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from voxmend.models import hub
from voxmend.operators import Evidence
from voxmend.training.correction import unknown
from voxmend.training.first_guesses import KINDS, FirstGuesses

AT_ONCE = 16


@torch.no_grad()
def gains(prior: torch.nn.Module, guesses: FirstGuesses) -> dict[str, str]:
    """Mean gain in dB and its standard error, of each kind that there is."""
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    noise = torch.Generator().manual_seed(0)
    for numbers in torch.arange(len(guesses)).split(AT_ONCE):
        clips = guesses.take(numbers, 0 * numbers, guesses.length)
        noisy = clips.guess + prior.sigma_max * torch.randn(clips.guess.shape, generator=noise)
        better = prior(noisy, prior.sigma_max, Evidence(clips.guess, clips.marks[:, None]))
        lost = unknown(clips)
        before, after = (((signal - clips.clean).square() * lost).sum((1, 2)) + 1e-6
                         for signal in (clips.guess, better))
        for kind, gain in zip(clips.kind.tolist(), 10 * (before / after).log10(), strict=True):
            found[list(KINDS)[kind]].append(gain.item())
    return {kind: f"{np.mean(each):.2f} ± {np.std(each) / len(each) ** 0.5:.2f}"
            for kind, each in found.items() if each}


def main(name: str, *folders: str) -> None:
    """Prints the table."""
    prior = hub.load_prior(name)
    print("| guesses | " + " | ".join(KINDS) + " |\n|---|" + "---|" * len(KINDS))
    for folder in folders:
        row = gains(prior, FirstGuesses(Path(folder)))
        print(f"| {folder} | " + " | ".join(row.get(kind, "") for kind in KINDS) + " |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
