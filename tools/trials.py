"""What networks and ways to train them reach in the same time, on the same stream of examples.

    python tools/trials.py SPEECH OUT RECIPE [RECIPE …] [--noise DIR] [--minutes 60] [--threads 1]

Trains every RECIPE for so many minutes, one after the other, into OUT/NAME, which is new, and
prints validation against minutes and hours heard. The stream is the recipe's own: that of its seed,
which alike recipes share. SPEECH holds train/ and val/; nothing here hears test speech.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from voxmend.training import loop, recipes


def trial(recipe: recipes.Recipe, arguments: argparse.Namespace) -> None:
    """Trains for the time of a trial and prints a row for every validation."""
    out = arguments.out / recipe.name
    begun = time.monotonic()
    loop.train(recipe, arguments.speech, out, arguments.minutes, noise=arguments.noise,
               device="cpu", validate_every=arguments.every, cache=arguments.out / "cache")
    minutes = (time.monotonic() - begun) / 60
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    last = lines[-1]["step"]
    for line in lines:
        if found := line.get(recipe.validation):
            hours = line["step"] * recipe.batch * recipe.seconds / 3600
            print(f"| {recipe.name} | {minutes * line['step'] / last:.0f} | {hours:.3g} | "
                  + ", ".join(f"{name}: {value:.2f}" for name, value in found.items()) + " |",
                  flush=True)


def main(texts: list[str] | None = None) -> None:
    """Prints the table of all trials."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("recipes", type=Path, nargs="+")
    parser.add_argument("--noise", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--every", type=int, default=500, help="steps between validations")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args(texts)
    torch.set_num_threads(arguments.threads)
    loaded = [recipes.load_recipe(path) for path in arguments.recipes]
    print("| recipe | minutes | hours heard | " + ", ".join(sorted({r.measure for r in loaded}))
          + " |\n|---|---|---|---|")
    for recipe in loaded:
        trial(recipe, arguments)


if __name__ == "__main__":
    main()
