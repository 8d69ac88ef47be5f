"""What DiffSep's weights bring to speakers and noise they were trained with and to others.

    python tools/generalisation.py WEIGHTS CACHE SNR SPEECH:NOISE [SPEECH:NOISE ...]
    python tools/generalisation.py WEIGHTS CACHE - SPEECH [SPEECH ...]

WEIGHTS is a bundled name or a file, CACHE keeps recordings decoded. Prints for each pair of
folders, or folder, the mean SI-SNR improvement in dB, and its standard error, of one call in either
polarity on 64 random mixtures of 4 s; to enhance at SNR dB, to separate at ±2.5 dB.
"""

import math
import sys
from pathlib import Path

import torch

from voxmend import diffsep, hub
from voxmend.diffsep import DiffSepRecipe, EnhancementRecipe
from voxmend.training import open_corpus


@torch.no_grad()
def main(weights: str, cache: str, snr: str, *pairs: str) -> None:
    path = hub.find_prior(weights)
    card, model = hub.read_card(path), diffsep.load_model(path)
    options = dict(name="", config={}, steps=0, process=card["process"],
                   sample_rate=card["sample_rate"])
    recipe = (DiffSepRecipe(**options) if snr == "-"
              else EnhancementRecipe(**options, snr_db=(float(snr), float(snr))))
    print("| speech | noise | SI-SNR improvement, dB | standard error |\n|---|---|---|---|")
    for pair in pairs:
        speech, _, noise = pair.partition(":")
        corpus = open_corpus(recipe, Path(speech), Path(cache), Path(noise) if noise else None)
        gains = recipe.gains(model, recipe.held_out(corpus, 64))
        error = gains.std() / math.sqrt(len(gains))
        print(f"| {Path(speech).name} | {Path(noise).name or '–'} | {gains.mean():.2f} | "
              f"{error:.2f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
