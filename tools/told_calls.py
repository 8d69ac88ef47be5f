"""What a prior that is told the recording reaches by one call, and by more of several samplers.

    python tools/told_calls.py WEIGHTS SPEECH NOISE [COUNT]

WEIGHTS is a bundled name or a file, SPEECH and NOISE are folders of recordings (choose on the val/
of training). The loudest 4 s of the first COUNT files stand in noise at 0 and 10 dB. Prints means
of SI-SNR, PESQ and DNSMOS. Levels are a geometric grid from `top` to 0.01; a grid that starts below
sigma_max is preceded by a call at sigma_max, whose estimate gets noise of level `top`.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from voxmend.benchmarks.diffsep import mixed_with_noise
from voxmend.benchmarks.scoring import RATE, Judges
from voxmend.diffusion.chunked import NoiseStream
from voxmend.diffusion.samplers import SAMPLERS
from voxmend.diffusion.schedules import geometric_grid
from voxmend.dsp.rms import rms
from voxmend.metrics import METRICS
from voxmend.models import hub

# sampler, calls, top of the grid, draws whose mean is taken, polarities
TRIALS = [("euler", 1, 2.0, 1, 1), ("euler", 1, 2.0, 1, 2), ("euler", 1, 2.0, 4, 1),
          ("euler", 2, 2.0, 1, 1), ("euler", 4, 2.0, 1, 1), ("euler", 8, 2.0, 1, 1),
          ("ancestral", 4, 2.0, 1, 1), ("ancestral", 4, 2.0, 4, 1), ("euler", 2, 0.1, 1, 1)]


def levels(prior, calls: int, top: float) -> Tensor:
    """The noise levels of so many calls, and 0. Shape: `[calls + 1]`."""
    first = [torch.tensor([prior.sigma_max])] if top < prior.sigma_max else []
    left = calls - len(first)
    grid = geometric_grid(left, top, 0.01 if left > 1 else top).float()
    return torch.cat([*first, grid])


@torch.no_grad()
def enhance(prior, noisy: np.ndarray, sampler: str, calls: int, top: float, draws: int,
            polarities: int) -> np.ndarray:
    """A recording told to the prior, and sampled."""
    scale = prior.sigma_data / rms(noisy)
    y = scale * torch.from_numpy(noisy)[None, None]
    sigmas, found = levels(prior, calls, top), []
    for sign in (1, -1)[:polarities]:
        for draw in range(draws):
            fresh = NoiseStream(draw)
            x = sign * y + prior.sigma_max * fresh(y)
            found.append(sign * SAMPLERS[sampler](prior.told(sign * y), x, sigmas, fresh))
    return (torch.stack(found).mean(0) / scale)[0, 0].numpy()


def measured(clean: np.ndarray, estimate: np.ndarray) -> dict[str, float]:
    """SI-SNR and PESQ."""
    estimate = estimate.astype(np.float64)
    return {name: float(METRICS[name](estimate, clean, RATE)) for name in ("si_snr", "pesq_wb")}


def main(weights: str, speech: str, noise: str, count: str = "16") -> None:
    """Prints the table."""
    prior, judges = hub.load_prior(weights), Judges("dnsmos")
    examples = mixed_with_noise(Path(speech), Path(noise), int(count))
    examples = [e for snr in (0, 10) for e in examples[f"noise at {snr} dB"]]
    print("| sampler | calls | top | draws | polarities | SI-SNR dB | PESQ-WB | DNSMOS OVRL |\n"
          "|---|---|---|---|---|---|---|---|")

    def row(name, method):
        found = [(e, method(e.damaged)) for e in examples]
        rows = [measured(e.clean, x) | judges(x) for e, x in found]
        figures = [np.mean([r[key] for r in rows]) for key in ("si_snr", "pesq_wb", "dnsmos")]
        print(f"| {name} | {figures[0]:.2f} | {figures[1]:.3f} | {figures[2]:.2f} |", flush=True)

    row("noisy | 0 | – | – | –", lambda noisy: noisy)
    for trial in TRIALS:
        row(" | ".join(map(str, trial)), lambda noisy, trial=trial: enhance(prior, noisy, *trial))


if __name__ == "__main__":
    main(*sys.argv[1:])
