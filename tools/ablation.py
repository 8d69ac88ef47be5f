"""Trains the `recipes` of a file in turn and prints their validation losses in a table.

    python tools/ablation.py recipes/diffiner/diffiner_ablation.py SPEECH_FOLDER OUT_FOLDER

The loss is that of training, by the averaged weights, on held-out crops at five steps of the
schedule. OUT_FOLDER keeps decoded audio and, as it grows, the table.
"""

import runpy
import sys
import time
from pathlib import Path

import torch

from voxmend.models import macs
from voxmend.training.corpus import Corpus
from voxmend.training.loop import Run

HEADING = ["| variant | validation loss | parameters, M | GMAC/s | s |", "|---|---|---|---|---|"]


@torch.no_grad()
def validation_loss(run: Run, clean: torch.Tensor) -> float:
    """E ‖ε − ε_θ‖² over held-out bins, five steps of the schedule and noise, the same for all."""
    run._put(run.ema)
    generator, losses = torch.Generator().manual_seed(1), []
    total = run.recipe.betas["steps"]
    for t in range(total // 10, total, total // 5):
        noise = torch.randn(clean.shape, generator=generator)
        steps = torch.full((len(clean),), t)
        losses.append(run.recipe.loss(run.denoiser.eval(), clean, steps, noise).item())
    return sum(losses) / len(losses)


def row(recipe, corpus: Corpus, clean: torch.Tensor, out: Path) -> str:
    """A line of the table, after training."""
    begun, run = time.monotonic(), Run(recipe, out / recipe.name, torch.device("cpu"))
    while run.step < recipe.steps:
        run.advance(run.batch(corpus))
    size, cost = macs.cost(recipe.network, recipe.config, recipe.sample_rate).split(", ")
    loss = validation_loss(run, clean)
    return (f"| {recipe.name} | {loss:.4f} | {size.split()[0]} | {cost.split()[0]} | "
            f"{time.monotonic() - begun:.0f} |")


def main(recipe_file: Path, data: Path, out: Path) -> None:
    """Trains what is not trained yet, and prints the table."""
    recipes, lines = runpy.run_path(str(recipe_file))["recipes"], HEADING.copy()
    rate = recipes[0].sample_rate
    train, held_out = (Corpus(data / part, out / "cache", rate) for part in ("train", "val"))
    clean = recipes[0].held_out(held_out)
    for recipe in recipes:
        lines.append(row(recipe, train, clean, out))
        print(lines[-1], flush=True)
        (out / "table.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
