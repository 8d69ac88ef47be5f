"""What DiffSep's weights reach on validation mixtures, by sampler and calls, and by noise level.

    python tools/diffsep_calls.py WEIGHTS SPEECH CACHE [NOISE]

WEIGHTS is a bundled name or a file, SPEECH and, for enhancement, NOISE are folders of recordings
(the val/ of training), CACHE keeps them decoded. Prints what few calls and many bring, and the
separator that they correct, if any: SI-SNR improvement in dB, ESTOI, PESQ, DNSMOS; and the mean
squared error of the differences' denoiser over the differences' variance, at noise levels σ in
units of the mixture's RMS: how much is left to find out when so much is known.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from voxmend.benchmarks.scoring import Example, Judges, score
from voxmend.models import hub
from voxmend.models.precision import choose
from voxmend.restore.damage import Damage
from voxmend.systems import conv_tasnet, diffsep
from voxmend.systems.diffsep import DiffSepRecipe, EnhancementRecipe
from voxmend.systems.score_models import RegenerationModel, ScoreModel
from voxmend.training.loop import open_corpus

SAMPLINGS = [("ancestral", n, polarities) for polarities in (1, 2) for n in (1, 2, 3, 5, 10)]
SAMPLINGS += [("ancestral", 30, 1), ("dpmpp_2m", 2, 1), ("dpmpp_2m", 5, 1), ("dpmpp_2m", 10, 1)]
TIMES = (0.1, 0.3, 0.5, 0.7, 0.85, 1.0)
FIGURES = ("si_snr", "estoi", "pesq_wb", "dnsmos")


def figures(separate, voices: Tensor, wanted: slice) -> list[float]:
    """Means of `FIGURES` over mixtures, SI-SNR over that of the mixture. Shape: `[B, K, T]`."""
    judges, rows = Judges("dnsmos"), []
    for sources in voices.numpy():
        mixture, clean = sources.sum(0), sources[wanted]
        found = separate(mixture)[wanted]
        example = Example(clean, mixture, Damage())
        before = score(example, np.tile(mixture, (len(clean), 1)))["si_snr"]
        level = 0.05 / mixture.std()  # DNSMOS heeds levels
        row = score(example, found) | judges(level * found)
        rows.append([row["si_snr"] - before, *(row.get(name, np.nan) for name in FIGURES[1:])])
    return np.mean(rows, 0).tolist()


def error(model: ScoreModel, voices: Tensor, time: float) -> tuple[float, float]:
    """σ of the differences at a time, and E‖d̂ − d‖² / E‖d‖². Shape: `[B, K, T]` to numbers."""
    voices = pad(voices, (0, 0, 0, model.process.sources - model.voices))  # no noise
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
    choose(model, "auto")
    recipe = (EnhancementRecipe if noise else DiffSepRecipe)(
        name="", config={}, steps=0, process={**card["process"], "sources": model.voices},
        sample_rate=card["sample_rate"])
    corpus = open_corpus(recipe, Path(speech), Path(cache), noise and Path(noise))
    voices, wanted = recipe.held_out(corpus), slice(0, 1) if noise else slice(None)
    print("| sampler | polarities | calls | SI-SNR improvement, dB | ESTOI | PESQ | DNSMOS OVRL |\n"
          "|---|---|---|---|---|---|---|")
    methods = {(sampler, polarities, steps * polarities): partial(
        diffsep.separate, model, sampler=sampler, steps=steps, polarities=polarities)
        for sampler, steps, polarities in SAMPLINGS}
    if isinstance(model, RegenerationModel):
        methods = {("its separator", polarities, 0): partial(
            conv_tasnet.separate, model.separator, polarities=polarities)
            for polarities in (1, 2)} | methods
    for told, separate in methods.items():
        cells = "{:.2f} | {:.3f} | {:.2f} | {:.2f}".format(*figures(separate, voices, wanted))
        print("|", " | ".join(map(str, told)), "|", cells, "|", flush=True)
    print("\n| σ | error / variance |\n|---|---|")
    for time in TIMES:
        print("| {:.2f} | {:.3f} |".format(*error(model, voices, time)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
