"""What a separator of two voices makes of three at once.

    python tools/three_voices.py WEIGHTS SPEECH CACHE

WEIGHTS is a bundled name or a file, SPEECH a folder of recordings (the val/ of training), CACHE
keeps them decoded. Prints, over 16 mixtures of three voices at about equal levels, how much of an
output's energy is of the voice that it holds most of, by least squares: of the purer output of a
mixture and of the other one.
"""

import sys
from pathlib import Path

import torch

from voxmend.models import hub
from voxmend.models.precision import choose
from voxmend.systems.conv_tasnet import load_separator
from voxmend.systems.diffsep import DiffSepRecipe
from voxmend.systems.hearing import heard_as, hearing
from voxmend.training.corpus import Corpus


@torch.no_grad()
def main(weights: str, speech: str, cache: str) -> None:
    """Prints the table."""
    recipe = DiffSepRecipe(name="", config={}, steps=0, process={"sources": 3})
    path = hub.find_prior(weights)
    network, shares = load_separator(path), []
    choose(network, "auto")
    separate = heard_as(network, **hearing(hub.read_card(path)))
    for voices in recipe.held_out(Corpus(Path(speech), Path(cache))):
        (found,) = separate(voices.sum(0)[None, None])
        gains = torch.linalg.lstsq(voices.T, found.T).solution
        energy = gains.square() * voices.square().sum(-1, keepdim=True)
        shares.append((energy / energy.sum(0)).amax(0).sort(descending=True).values)
    pure, mixed = (100 * torch.stack(shares).mean(0)).tolist()
    print("| output | of one voice, % |\n|---|---|")
    print(f"| the purer one | {pure:.0f} |\n| the other | {mixed:.0f} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
