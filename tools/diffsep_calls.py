"""What DiffSep's weights reach on validation mixtures, by sampler and calls, and by noise level.

    python tools/diffsep_calls.py WEIGHTS SPEECH CACHE [NOISE]

WEIGHTS is a bundled name or a file, SPEECH and, for enhancement, NOISE are folders of recordings
(the val/ of training), CACHE keeps them decoded. Prints the SI-SNR improvement in dB, of few calls
and many, and the mean squared error of the differences' denoiser over the differences' variance, at
noise levels σ in units of the mixture's RMS: how much is left to find out when so much is known.
"""

import sys
from pathlib import Path

import torch
from torch import Tensor

from voxmend.models import hub
from voxmend.systems import diffsep
from voxmend.systems.diffsep import DiffSepRecipe, EnhancementRecipe, ScoreModel
from voxmend.training.loop import open_corpus

SAMPLINGS = [("ancestral", n, polarities) for polarities in (1, 2) for n in (1, 2, 3, 5, 10)]
SAMPLINGS += [("ancestral", 30, 1), ("dpmpp_2m", 2, 1), ("dpmpp_2m", 10, 1)]
TIMES = (0.1, 0.3, 0.5, 0.7, 0.85, 1.0)


def error(model: ScoreModel, voices: Tensor, time: float) -> tuple[float, float]:
    """σ of the differences at a time, and E‖d̂ − d‖² / E‖d‖². Shape: `[B, K, T]` to numbers."""
    noise = torch.randn(voices.shape, generator=torch.Generator().manual_seed(0))
    squares = torch.zeros(2)
    for sources, z in zip(voices.split(4), noise.split(4), strict=True):
        mixture, t = sources.sum(1, keepdim=True), torch.full((len(sources),), time)
        process = model.process_of(mixture)
        clean, sigmas = process.components(sources, 0.0), process.sigmas(t)
        x = process.mean(sources, t) + process.spread(z, t)
        found = model.denoise(process, mixture)(process.components(x, t), sigmas)
        squares += torch.stack([(found - clean)[:, 1:].square().sum(), clean[:, 1:].square().sum()])
    return sigmas[0, 1].item(), (squares[0] / squares[1]).item()


@torch.no_grad()
def main(weights: str, speech: str, cache: str, noise: str | None = None) -> None:
    """Prints the tables of one file of weights."""
    path = hub.find_prior(weights)
    card, model = hub.read_card(path), diffsep.load_model(path, task="enhance" if noise else None)
    if noise is None and model.task == "enhance":
        sys.exit(f"{path}: parts speech from noise; give a folder of noise, too")
    recipe = (EnhancementRecipe if noise else DiffSepRecipe)(
        name="", config={}, steps=0, process=card["process"], sample_rate=card["sample_rate"])
    corpus = open_corpus(recipe, Path(speech), Path(cache), noise and Path(noise))
    voices = recipe.held_out(corpus)
    print("| sampler | polarities | calls | SI-SNR improvement, dB |\n|---|---|---|---|")
    for sampler, steps, polarities in SAMPLINGS:
        gain = recipe.gains(model, voices, sampler, steps, polarities).mean()
        print(f"| {sampler} | {polarities} | {steps * polarities} | {gain:.2f} |", flush=True)
    print("\n| σ | error / variance |\n|---|---|")
    for time in TIMES:
        print("| {:.2f} | {:.3f} |".format(*error(model, voices, time)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
