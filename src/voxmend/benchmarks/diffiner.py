"""Diffiner's tables: what enhancers make of noisy speech, and what refining makes of that.

Every front end has a row, and one for each way to refine it. An ideal one, which tells the true
noise of every bin, shows what the refiner would do with a perfect map: it is no enhancer, since
it knows the speech.

    print(benchmark.markdown(run(Path("speech/"), Path("noise/"))))

Source: Sawata et al. 2023, "Diffiner", section 4.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

from .. import classical
from ..models import hub
from ..models.precision import choose
from ..systems import diffsep
from ..systems.diffiner import Refiner
from ..systems.segan import load_enhancer
from ..systems.separator import Separator, by_network
from ..systems.weights import find_weights
from . import rivals, scoring
from .diffsep import mixed_with_noise, real_pairs
from .judges import Panel
from .restoration import heading
from .scoring import RATE, Example, Judges, fill, has_row, measure

JUDGED = ("dnsmos_sig", "dnsmos_bak", "dnsmos")
REFINERS = {"refined": "voxmend", "Diffiner": "diffiner", "Diffiner+": "diffiner+"}
IDEAL = "true noise"  # what tells the refiner the noise of every bin

Enhance = Callable[[Example], np.ndarray]


def by_diffsep(seed: int, device: str) -> tuple[Enhance, nn.Module]:
    """The bundled DiffSep as `voxmend enhance` runs it, and the network that is called."""
    path = find_weights("enhance", "diffsep")
    model = diffsep.load_model(path, device, "enhance")
    suited = hub.read_card(path).get("sampling", {})
    separate: Callable[..., np.ndarray] = partial(diffsep.separate, model, seed=seed, **suited)
    return lambda example: separate(example.damaged)[0], model.network


def by_segan(weights: str | None, device: str) -> tuple[Enhance, nn.Module]:
    """A SEGAN as `voxmend enhance` runs it, by default the bundled one, and its network."""
    enhancer = load_enhancer(find_weights("enhance", "segan", weights), device)
    separator = Separator(by_network(enhancer), 2, RATE, enhances=True, follows=True)
    return lambda example: separator(example.damaged, RATE)[0], enhancer


def front_ends(seed: int, device: str,
               segan: str | None) -> dict[str, tuple[Enhance, nn.Module | None]]:
    """Enhancers that precede, a line each, with the network that is called."""
    return {
        "log-MMSE": (lambda e: classical.log_mmse_denoise(e.damaged, RATE), None),
        "DiffSep": by_diffsep(seed, device),
        "SEGAN": by_segan(segan, device),
    }


class Rows:
    """The rows of one table; what a front end makes is kept for the refiners after it."""

    def __init__(self, examples: list[Example], progress: bool, panel: Panel | None):
        self.examples, self.progress, self.panel = examples, progress, panel
        self.judges = Judges(*JUDGED)
        self.made: dict[int, np.ndarray] = {}

    def row(self, label: str, method: Enhance, network: nn.Module | None = None) -> dict:
        return measure(self.examples, method, label, network, self.progress, self._score)

    def front(self, label: str, method: Enhance, network: nn.Module | None) -> dict:
        """The row of a front end."""
        def enhance(example: Example) -> np.ndarray:
            self.made[id(example)] = np.asarray(method(example), np.float32)
            return self.made[id(example)]

        return self.row(label, enhance, network)

    def refined(self, label: str, refiners: dict[str, Refiner]) -> Iterator[dict]:
        """A row for every way to refine what the last front end made."""
        for name, refiner in refiners.items():
            def method(e: Example, refiner: Refiner = refiner) -> np.ndarray:
                return refiner(e.damaged, self.made[id(e)], RATE)

            yield self.row(f"{label} + {name}", method, refiner.prior)

    def ideal(self, refiners: dict[str, Refiner]) -> Iterator[dict]:
        self.made = {id(example): example.clean for example in self.examples}
        return self.refined(IDEAL, refiners)

    def _score(self, example: Example, estimate: np.ndarray) -> dict[str, float]:
        scores = {**scoring.score(example, estimate), **self.judges(estimate)}
        return scores | (self.panel(example, estimate) if self.panel else {})


def rows_of(examples: list[Example], ends: dict, refiners: dict[str, Refiner],
            progress: bool, panel: Panel | None, only: tuple[str, ...] = ()) -> Iterator[dict]:
    """A row for what is noisy, and for every front end alone and with every way to refine it."""
    rows = Rows(examples, progress, panel)
    if has_row("noisy", only):
        yield rows.row("noisy", lambda example: example.damaged)
    for label, (enhance, network) in ends.items():
        if has_row(label, only):
            yield rows.front(label, enhance, network)
            yield from rows.refined(label, refiners)
    if has_row(IDEAL, only):
        yield from rows.ideal(refiners)


def run(data: Path, noise: Path, voicebank: Path | None = None, clips: int | None = None,
        prior: str = hub.DEFAULT, steps: int = 20, seed: int = 0, device: str = "cpu",
        segan: str | None = None, progress: bool = True,
        save: Callable[[dict], None] = lambda result: None, precision: str = "auto",
        judges: bool = False, compared: bool = False, only: tuple[str, ...] = ()) -> dict:
    """Measures front ends and refiners; the result can be written as JSON.

    Args:
        data, noise, voicebank, clips, save: as in `diffsep.Comparison.enhancement`.
        prior: of the refiners, of waveforms or of spectrograms.
        steps: of Diffiner and Diffiner+.
        segan: weights of a SEGAN, by default the bundled ones.
        precision: of all networks, as in `models.precision.resolve`.
        judges, compared, only: as in `diffsep.Comparison`.

    Raises `hub.PriorError`, ImportError for a metric that lacks its package.
    """
    scoring.check_metrics()
    refiners = {}
    for name, method in REFINERS.items():
        refiner = Refiner(method, prior, None if method == "voxmend" else steps, seed, device,
                          precision)
        refiners[f"{name}, {refiner.steps} calls"] = refiner
    ends = front_ends(seed, device, segan)
    for _, network in ends.values():
        if network is not None:
            choose(network, precision)
    notes = ["Times and calls of refined rows are those of refining alone."]
    if compared:
        found, missing = rivals.installed("enhance", RATE)
        ends |= {label: (method, None) for label, method in found.items()}
        notes += missing
    panel = Panel(device=device) if judges else None
    examples = mixed_with_noise(data, noise, clips)
    count = len(next(iter(examples.values())))
    if voicebank:
        examples["real pairs"] = real_pairs(voicebank, clips)
        notes.append(f"The real pairs are {len(examples['real pairs'])} whole recordings.")
    result = {**heading(prior, seed, count, device, choose(refiner.prior, precision)),
              "models": {hub.title(path): hub.file_hash(path) for path in (
                  find_weights("enhance", "diffsep"), find_weights("enhance", "segan", segan))},
              "notes": notes + Judges(*JUDGED).notes}
    if panel:
        result["spread"], result["notes"] = True, result["notes"] + panel.notes
    fill(result["cases"], {name: rows_of(some, ends, refiners, progress, panel, only)
                           for name, some in examples.items()}, lambda: save(result))
    return result
