"""SpeakEMB's table: mean and variance of drawn embeddings by dimensions, number and schedule.

The paper gives neither definition nor units of its two differences; here they are means over the
dimensions, of embeddings that are standardised by the mean and deviation of all of a file. Beside
them stands the mean of absolute differences, in which nothing cancels out.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from tqdm import tqdm

from .. import __version__
from ..metrics.frechet import frechet_distance
from ..speakers import embeddings, voices
from ..speakers.figures import moments
from ..speakers.space import VoiceSpace
from ..speakers.voices import Schedule
from .scoring import machine

COUNTS = (500, 1000)
PAPER = {(64, 500): (2.38e-07, -4.4288), (64, 1000): (1.31e-06, -10.16),
         (128, 500): (1.19e-07, 0.799), (128, 1000): (-1.86e-08, 0.389),
         (704, 500): (1.79e-07, -0.7833), (704, 1000): (7.22e-16, -1.4066)}


def run(files: Sequence[Path], steps: int = 500, iterations: int = 1000, seed: int = 0,
        progress: bool = True, save: Callable[[dict], None] = lambda result: None) -> dict:
    """Trains on so many embeddings of every file and draws as many, by every schedule.

    Args:
        files: embeddings, `.npz`, a part of the table each; ones of fewer than 500 are refused.
        steps: of the schedules.
        iterations: of each training.
        save: is called with the result so far whenever there is more of it.
    """
    sets = [embeddings.load(file) for file in files]
    for file, some in zip(files, sets, strict=True):
        if len(some) < COUNTS[0]:
            raise ValueError(f"{file}: {len(some)} embeddings, but the table needs {COUNTS[0]}")
    runs: list[tuple[voices.Method, Schedule]] = [
        *(("speakemb", schedule) for schedule in get_args(Schedule)), ("voxmend", "cosine")]
    cases = [(some, min(count, len(some)), *way) for some in sets for count in COUNTS
             for way in runs]
    result: dict = {"version": __version__, "machine": machine(), "steps": steps, "seed": seed,
              "iterations": iterations, "encoders": {s.dim: s.encoder for s in sets}, "rows": []}
    for some, count, method, schedule in tqdm(cases, desc="table", disable=not progress):
        chosen = np.random.default_rng(seed).permutation(len(some))[:count]
        model = voices.train(some.take(chosen), method, schedule, steps, "l1", iterations, seed,
                             progress=False)
        drawn = model.draw(count, seed)
        result["rows"].append({
            "dimensions": some.dim, "points": count, "method": method, "schedule": schedule,
            "signal_left": model.left, "seconds": model.card["training"]["seconds"],
            **moments(drawn, VoiceSpace.of(some)),
            "frechet": frechet_distance(drawn, some.vectors, some.weights)})
        save(result)
    return result


def markdown(result: dict) -> str:
    """The table, the paper's figures below it."""
    lines = [f"{result['steps']} steps, {result['iterations']} iterations of training, seed "
             f"{result['seed']}: {result['machine']}", "",
             "| dimensions | data points | method | schedule | mean difference | variance "
             "difference | absolute | largest | Fréchet distance |", "|---" * 9 + "|"]
    lines += [f"| {row['dimensions']} | {row['points']} | {row['method']} | {row['schedule']} "
              f"| {row['mean_signed']:.4f} | {row['variance_signed']:.4f} "
              f"| {row['variance_difference']:.3f} | {row['variance_difference_largest']:.3f} "
              f"| {row['frechet']:.4f} |" for row in result["rows"]]
    lines += ["", "The paper's, on other embeddings, in units of its own:", "",
              "| dimensions | data points | mean difference | variance difference |", "|---" * 4
              + "|"]
    lines += [f"| {dim} | {count} | {mean:.3g} | {variance:g} |"
              for (dim, count), (mean, variance) in PAPER.items()]
    return "\n".join(lines)
