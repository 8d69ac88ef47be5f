"""What weights gain on speakers and noise that they were trained with, and on others.

    python tools/generalisation.py WEIGHTS CACHE SPEECH ...
    python tools/generalisation.py WEIGHTS CACHE SPEECH:NOISE ...

WEIGHTS is a bundled name or a file: a DiffSep that separates, or with NOISE one that enhances or a
conditional prior, which is called once; CACHE keeps decoded recordings. Prints for each folder, or
pair of folders, the mean SI-SNR improvement in dB, and its standard error, on 64 random mixtures of
4 s, to enhance at 5 dB.
"""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from voxmend.models import hub
from voxmend.systems import diffsep
from voxmend.systems.diffsep import DiffSepRecipe, EnhancementRecipe
from voxmend.systems.weights import load_listener
from voxmend.training.corpus import Corpus

COUNT, SNR = 64, (5.0, 5.0)


def of_listener(path: Path) -> tuple[EnhancementRecipe, Callable]:
    """How mixtures are made, and what a conditional prior gains on them, `[B, 2, T]` to `[B]`."""
    recipe = EnhancementRecipe(name="", config={}, steps=0, snr_db=SNR)
    listener = load_listener(path)

    @torch.inference_mode()
    def gains(sources: Tensor) -> Tensor:
        return torch.cat([recipe.gain(listener(part.sum(1, keepdim=True)), part)
                          for part in sources.split(4)])

    return recipe, gains


def of_diffsep(path: Path, card: dict) -> tuple[DiffSepRecipe, Callable]:
    """The same of a DiffSep, sampled as its card says."""
    model = diffsep.load_model(path)
    options = dict(name="", config={}, steps=0,
                   process={**card["process"], "sources": model.voices},
                   sample_rate=card["sample_rate"])
    recipe = (EnhancementRecipe(**options, snr_db=SNR) if model.task == "enhance"
              else DiffSepRecipe(**options))
    return recipe, lambda sources: recipe.gains(model, sources, **card.get("sampling", {}))


def main(weights: str, cache: str, *folders: str) -> None:
    """Prints the table, a row for every folder."""
    path = hub.find_prior(weights)
    card = hub.read_card(path)
    recipe, gains_on = (of_listener(path) if card["prediction"] == "told"
                        else of_diffsep(path, card))
    enhances = isinstance(recipe, EnhancementRecipe)
    print("| speech | noise | SI-SNR improvement, dB | standard error |\n|---|---|---|---|")
    for folder in folders:
        speech, _, noise = folder.partition(":")
        if bool(noise) != enhances:
            sys.exit(f"{folder}: {path} is made to {'enhance' if enhances else 'separate'}; give "
                     + ("SPEECH:NOISE" if enhances else "SPEECH alone"))
        corpus = Corpus(Path(speech), Path(cache), recipe.sample_rate)
        if noise:
            corpus.noise = Corpus(Path(noise), Path(cache), recipe.sample_rate)
        gains = gains_on(recipe.held_out(corpus, COUNT))
        error = gains.std() / math.sqrt(COUNT)
        print(f"| {Path(speech).name} | {Path(noise).name or '–'} | {gains.mean():.2f} "
              f"| {error:.2f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
