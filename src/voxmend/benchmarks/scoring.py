"""Rows and tables of every benchmark: what methods make of examples, scored and counted."""

import hashlib
import os
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from ..metrics import COLUMNS, METRICS, QUALITY, SEPARATION
from ..metrics._common import WeightsError
from ..metrics.swap_rate import best_order
from ..restore.damage import Damage

RATE = 16000
# columns that need no reference: a metric of `QUALITY` and which of its scores
JUDGES = {"dnsmos_sig": ("dnsmos", "sig"), "dnsmos_bak": ("dnsmos", "bak"),
          "dnsmos": ("dnsmos", "ovrl"), "wvmos": ("wvmos", "wvmos"), "plcmos": ("plcmos", "plcmos")}


@dataclass(frozen=True)
class Example:
    """A clean clip (`[T]`, or `[K, T]` voices), what became of it, and what was done to it."""

    clean: np.ndarray
    damaged: np.ndarray
    damage: Damage
    judged: np.ndarray | None = None  # mask of the samples that SI-SNR looks at
    said: str = ""  # in a clip that is a whole recording, where a transcript is known


def digest(examples: list[Example]) -> str:
    """What tells examples from others: 16 digits of the SHA-256 of their samples."""
    found = hashlib.sha256()
    for example in examples:
        for wave in (example.clean, example.damaged):
            found.update(np.ascontiguousarray(wave, np.float32).tobytes())
    return found.hexdigest()[:16]


def has_row(label: str, only: tuple[str, ...]) -> bool:
    """Whether a table has a row: one whose label begins as one of `only`, or any if empty.

    UnDiff's, which takes minutes a clip, must be named.
    """
    return label.startswith(only) if only else not label.startswith("UnDiff")


def score(example: Example, estimate: np.ndarray, rate: int = RATE) -> dict[str, float]:
    """Every metric of one estimate; voices in the order that has the best SI-SNR.

    Below 16 kHz PESQ is the narrow-band one, else the wide-band one.
    """
    length = min(estimate.shape[-1], example.clean.shape[-1])
    estimate, clean = estimate[..., :length], example.clean[..., :length]
    if clean.ndim == 2:
        estimate = estimate[list(best_order(estimate, clean))]
        voices = [score(replace(example, clean=c), e, rate)
                  for c, e in zip(clean, estimate, strict=True)]
        return {**{name: float(np.mean([v[name] for v in voices])) for name in voices[0]},
                **{name: SEPARATION[name](estimate, clean, rate) for name in SEPARATION}}
    estimate = np.asarray(estimate, np.float64)
    where = slice(None) if example.judged is None else example.judged[:length]
    others = [n for n in METRICS if n not in ("si_snr", "pesq_wb" if rate < 16000 else "pesq_nb")]
    return {"si_snr": METRICS["si_snr"](estimate[where], clean[where]),
            **{name: float(METRICS[name](estimate, clean, rate)) for name in others}}


def mean(values: Iterable[float]) -> float | None:
    """Mean of those that have a meaning, as the SI-SNR of an empty gap has none; or None."""
    finite = [v for v in values if np.isfinite(v)]
    return round(float(np.mean(finite)), 4) if finite else None


def interval(values: Iterable[float], draws: int = 2000) -> tuple[float, float] | None:
    """Where the mean of so many clips lies with 95 % confidence: its percentile bootstrap; or None.

    Clips without a meaning are left out, as in `mean`; the draws are the same every time.
    """
    finite = np.array([v for v in values if np.isfinite(v)])
    if len(finite) < 2:
        return None
    picked = np.random.default_rng(0).integers(len(finite), size=(draws, len(finite)))
    low, high = np.percentile(finite[picked].mean(1), (2.5, 97.5))
    return round(float(low), 4), round(float(high), 4)


def check_metrics() -> None:
    """Raises ImportError at once, before minutes of work, if a metric lacks its package."""
    wave = np.random.default_rng(0).normal(0, 0.1, RATE)
    for metric in METRICS.values():
        metric(wave, wave, RATE)


def available(metrics: Mapping[str, Callable], names: Iterable[str],
              trial: Callable[[Callable], object]) -> tuple[dict[str, Callable], list[str]]:
    """Those metrics that pass a trial, and notes on what the others lack."""
    found, notes = {}, []
    for name in names:
        try:
            trial(metrics[name])
            found[name] = metrics[name]
        except (ImportError, WeightsError) as error:
            notes.append(f"Not measured: {name}: {error}".replace(str(Path.home()), "~"))
    return found, notes


class Judges:
    """Scores without a reference: those of some columns of `JUDGES` that can be had here.

    Attributes:
        notes: on what the others lack.
    """

    def __init__(self, *columns: str):
        whisper = 0.01 * np.random.default_rng(0).normal(size=RATE)
        names = dict.fromkeys(JUDGES[column][0] for column in columns)
        self.columns = columns
        self.metrics, self.notes = available(QUALITY, names, lambda m: m(whisper, RATE))

    def __call__(self, wave: np.ndarray, rate: int = RATE) -> dict[str, float]:
        """A score for every column; of voices the mean."""
        scores = {name: [metric(voice, rate) for voice in np.atleast_2d(wave)]
                  for name, metric in self.metrics.items()}
        return {column: float(np.mean([voice[JUDGES[column][1]] for voice in
                                       scores[JUDGES[column][0]]]))
                for column in self.columns if JUDGES[column][0] in scores}


@contextmanager
def counted_calls(network: nn.Module | None) -> Iterator[list]:
    """A list that grows by one entry with every call of a network."""
    calls: list = []
    hook = (network or nn.Identity()).register_forward_pre_hook(lambda *_: calls.append(None))
    try:
        yield calls
    finally:
        hook.remove()


def measure(examples: list[Example], method: Callable, name: str, network: nn.Module | None,
            progress: bool, score: Callable = score) -> dict:
    """One row: means over the examples with intervals, calls of a network per clip, time.

    `examples` of the row is their `digest`: rows of several runs that share it can be compared;
    `missing` says of how many, if not of all, a metric has no meaning; its mean leaves them out.
    """
    scores, seconds = [], 0.0
    with counted_calls(network) as calls:
        for example in tqdm(examples, desc=name, unit="clip", leave=False, disable=not progress):
            begun = time.perf_counter()
            estimate = method(example)
            seconds += time.perf_counter() - begun
            scores.append(score(example, estimate))
    duration = sum(e.damaged.shape[-1] for e in examples) / RATE
    lost = {k: sum(not np.isfinite(s[k]) for s in scores) for k in scores[0]}
    return {"method": name, "examples": digest(examples), "clips": len(examples),
            "missing": {k: count for k, count in lost.items() if 0 < count < len(examples)},
            **{metric: mean(s[metric] for s in scores) for metric in scores[0]},
            "intervals": {metric: interval(s[metric] for s in scores) for metric in scores[0]},
            "calls": len(calls) / len(examples),
            "real_time_factor": round(seconds / duration, 3),
            "si_snr_per_clip": [round(s["si_snr"], 3) if np.isfinite(s["si_snr"]) else None
                                for s in scores]}


def missing(rows: list[dict]) -> list[str]:
    """What follows a table whose means leave out clips, as the SI-SNR of an output of silence."""
    counts = defaultdict[tuple[str, int, int], list[str]](list)
    for row in rows:
        for metric, count in row.get("missing", {}).items():
            counts[COLUMNS[metric][0], count, row["clips"]].append(row["method"])
    lines = [f"{title} without {count} of {clips} clips, where it has no meaning: "
             + "; ".join(methods) for (title, count, clips), methods in counts.items()]
    return ["", *lines] if lines else []


def fill(tables: dict[str, list[dict]], measured: dict[str, Iterable[dict]],
         save: Callable[[], None]) -> None:
    """Puts rows into tables as they are measured, with a `save()` after each.

    Raises ValueError where there are none.
    """
    for name, rows in measured.items():
        tables[name] = []
        for row in rows:
            tables[name].append(row)
            save()
    if not any(tables.values()):
        raise ValueError("--only: no row of these tables begins so; without it all are shown")


def labels(paths: list[Path]) -> list[str]:
    """Names of weights in tables, with their folder's where some are called alike."""
    stems = [path.stem for path in paths]
    return [path.stem if stems.count(path.stem) == 1 else f"{path.parent.name}/{path.stem}"
            for path in paths]


def machine() -> str:
    """What the figures were taken on."""
    return (f"{os.cpu_count()} CPU cores ({platform.machine()}), "
            f"{torch.get_num_threads()} threads, torch {torch.__version__}")
