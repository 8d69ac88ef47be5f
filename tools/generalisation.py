"""What DiffSep's weights bring to speakers and noise they were trained with, and to others.

    python tools/generalisation.py WEIGHTS CACHE SPEECH ...
    python tools/generalisation.py WEIGHTS CACHE SPEECH:NOISE ...

WEIGHTS is a bundled name or a file that separates, or with NOISE one that enhances; CACHE keeps
recordings decoded. Prints for each folder, or pair of folders, the mean SI-SNR improvement in dB,
and its standard error, on 64 random mixtures of 4 s, to enhance at 5 dB.
"""

import math
import sys
from pathlib import Path

from voxmend.models import hub
from voxmend.systems import diffsep
from voxmend.systems.diffsep import DiffSepRecipe, EnhancementRecipe
from voxmend.training.corpus import Corpus

COUNT, SNR = 64, (5.0, 5.0)


def main(weights: str, cache: str, *folders: str) -> None:
    """Prints the table, a row for every folder."""
    path = hub.find_prior(weights)
    card, model = hub.read_card(path), diffsep.load_model(path)
    options = dict(name="", config={}, steps=0,
                   process={**card["process"], "sources": model.voices},
                   sample_rate=card["sample_rate"])
    enhances = model.task == "enhance"
    recipe = EnhancementRecipe(**options, snr_db=SNR) if enhances else DiffSepRecipe(**options)
    print("| speech | noise | SI-SNR improvement, dB | standard error |\n|---|---|---|---|")
    for folder in folders:
        speech, _, noise = folder.partition(":")
        if bool(noise) != enhances:
            sys.exit(f"{folder}: {path} is made to {model.task}; give "
                     + ("SPEECH:NOISE" if enhances else "SPEECH alone"))
        corpus = Corpus(Path(speech), Path(cache), recipe.sample_rate)
        if noise:
            corpus.noise = Corpus(Path(noise), Path(cache), recipe.sample_rate)
        gains = recipe.gains(model, recipe.held_out(corpus, COUNT), **card.get("sampling", {}))
        error = gains.std() / math.sqrt(COUNT)
        print(f"| {Path(speech).name} | {Path(noise).name or '–'} | {gains.mean():.2f} "
              f"| {error:.2f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
