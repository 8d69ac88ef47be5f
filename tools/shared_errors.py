"""How much of what a network leaves undone another one leaves undone, too.

    python tools/shared_errors.py SPEECH NOISE

SPEECH is a folder of recordings (the val/ of training), of which the loudest 4 s stand in white
noise, 10 dB below, and in recorded noise of NOISE at 0, 5 and 10 dB. Of a posterior mean's error
nothing is correlated with any function of the recording: the difference of two estimates has no
covariance with the better one's error. So a share near 1, of the better one's error energy, of
their errors' covariance says that the other network knows nothing that it does not know; a mean of
both, at any weights, gains nothing then. Prints SI-SNR in dB, and these shares.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from voxmend.benchmarks.diffsep import mixed_with_noise
from voxmend.benchmarks.restoration import CASES, load_clips
from voxmend.benchmarks.scoring import RATE, Example
from voxmend.metrics.si_snr import si_snr
from voxmend.restore.restorer import Restorer
from voxmend.systems import enhance

WEIGHTS = np.linspace(0, 1, 21)  # of the other network in a mean


def scaled(estimate: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """An estimate as loud as in SI-SNR."""
    return estimate * (estimate @ clean) / max(estimate @ estimate, 1e-12)


def rows(examples: list[Example], first: Callable[[Example], np.ndarray],
         second: Callable[[Example], np.ndarray]) -> Iterator[float]:
    """SI-SNR of both and of their best mean, and the covariance's share."""
    found, shares, means = [], [], []
    for example in examples:
        clean = np.asarray(example.clean, np.float64)
        pair = [scaled(np.asarray(method(example), np.float64), clean)
                for method in (first, second)]
        errors = [estimate - clean for estimate in pair]
        found.append([si_snr(estimate, clean) for estimate in pair])
        shares.append((errors[0] @ errors[1]) / (errors[0] @ errors[0]))
        means.append([si_snr((1 - w) * pair[0] + w * pair[1], clean) for w in WEIGHTS])
    yield from np.mean(found, 0)
    best = np.mean(means, 0)
    yield best.max()
    yield WEIGHTS[best.argmax()]
    yield float(np.median(shares))


def main(speech: Path, noise: Path) -> None:
    """Prints the table."""
    prior = Restorer("denoise", "speech16k")
    told, light = (partial(enhance.enhance, sample_rate=RATE, method=method)
                   for method in ("voxmend", "diffsep"))
    clips = load_clips(speech, None)
    white = [CASES["denoise"].make(clip, seed) for seed, clip in enumerate(clips)]
    real = [e for some in mixed_with_noise(speech, noise, None).values() for e in some]
    print("| noise | network | SI-SNR dB | the other | SI-SNR dB | best mean, dB | of it the other "
          "| covariance |\n|---|---|---|---|---|---|---|---|")
    for name, examples, first, second, names in (
            ("white", white, lambda e: prior(e.damaged, RATE, e.damage),
             lambda e: told(e.damaged), ("speech16k", "enhancer16k")),
            ("recorded", real, lambda e: told(e.damaged), lambda e: light(e.damaged),
             ("enhancer16k", "diffsep_enhancement"))):
        one, other, best, weight, share = rows(examples, first, second)
        print(f"| {name} | {names[0]} | {one:.2f} | {names[1]} | {other:.2f} | {best:.2f} | "
              f"{weight:.0%} | {share:.2f} |", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*map(Path, sys.argv[1:3]))
