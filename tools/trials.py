"""What networks and ways to train them reach in the same time, on the same stream of examples.

    python tools/trials.py OUT [RECIPE …] [--data SPEECH --noise DIR] [--minutes 40] [--threads 1]

Trains every RECIPE for so many minutes of the processor, validation included, one after the other,
into OUT/NAME, where one that was stopped goes on and one that is done is left alone; then prints
how the trials that lie in OUT ended, and what validation found on the way. Without a RECIPE it only
prints. Rates fall as the time runs out. The stream is the recipe's own: that of its seed, which
alike recipes share. SPEECH holds train/ and val/; nothing here hears test speech.
"""

import argparse
import json
import time
from pathlib import Path
from typing import NamedTuple

import torch

from voxmend.models.pickled import read_checkpoint
from voxmend.training import loop, recipes


class Trial(NamedTuple):
    """A trial that is done: its card, and what validation found after which steps."""

    card: dict
    course: dict[int, dict[str, float]]

    def found(self, step: int) -> str:
        """What validation found at a step, "–" where it did not look."""
        return ", ".join(f"{name}: {value:.2f}"
                         for name, value in self.course.get(step, {}).items()) or "–"

    def row(self) -> list[str]:
        """How it ended."""
        training = self.card["training"]
        speed = 60 * training["hours_seen"] / max(training["minutes"], 1e-9)
        return [training["recipe"], f"{self.card['parameters'] / 1e6:.3g} M",
                f"{training['minutes']:.1f}", f"{training['hours_seen']:.2f}", f"{speed:.3g}",
                self.found(max(self.course))]


def read(folder: Path) -> Trial:
    """A trial, from its card and its log."""
    (path,) = folder.glob("*.json")
    card = json.loads(path.read_text())
    (kind,) = (name.removeprefix("validation_") for name in card if name.startswith("validation_"))
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return Trial(card, {line["step"]: line[kind] for line in lines if kind in line})


def follow_the_clock(recipe: recipes.Recipe, seconds: float, done: float) -> None:
    """Has rates fall by the time that has passed: how many steps fit into it nobody knows.

    Args:
        done: seconds of it that have passed already.
    """
    begun = 0.0

    def rate(step: int) -> float:
        nonlocal begun
        begun = begun or time.process_time() - done
        passed = max((time.process_time() - begun) / seconds, 1e-6)
        steps = max(step, round((step + 1) / passed))
        return recipes.trapezoid(step, steps, recipe.warmup, recipe.decay)

    recipe.rate = rate


def train(recipe: recipes.Recipe, arguments: argparse.Namespace) -> None:
    """Trains for what is left of a trial's time."""
    folder = arguments.out / recipe.name
    if any(folder.glob("*.json")):
        return
    checkpoint = folder / "checkpoint.pt"
    done = read_checkpoint(checkpoint)["seconds"] if checkpoint.exists() else 0.0
    follow_the_clock(recipe, 60 * arguments.minutes, done)
    loop.train(recipe, arguments.data, folder, arguments.minutes - done / 60, resume=True,
               device="cpu", validate_every=arguments.every, compile=arguments.compile,
               noise=arguments.noise, cache=arguments.cache or arguments.out / "cache",
               clock=time.process_time)


def table(header: list[str], rows: list[list[str]]) -> None:
    """Prints a table in Markdown."""
    for cells in (header, ["---"] * len(header), *rows):
        print("| " + " | ".join(cells) + " |")
    print()


def main(texts: list[str] | None = None) -> None:
    """Trains what is asked for, and prints the tables of all trials."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("recipes", type=Path, nargs="*")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--noise", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--every", type=int, default=500, help="steps between validations")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args(texts)
    if arguments.recipes and not arguments.data:
        parser.error("to train needs --data SPEECH")
    torch.set_num_threads(arguments.threads)
    for recipe in [recipes.load_recipe(path) for path in arguments.recipes]:
        train(recipe, arguments)
    trials = [read(path.parent) for path in sorted(arguments.out.glob("*/*.json"))]
    table(["trial", "parameters", "CPU minutes", "hours of audio", "times real time", "validation"],
          [trial.row() for trial in trials])
    steps = sorted({step for trial in trials for step in [*trial.course][:-1]})
    table(["trial", *(f"after {step} steps" for step in steps)],
          [[trial.card["training"]["recipe"], *map(trial.found, steps)] for trial in trials])


if __name__ == "__main__":
    main()
