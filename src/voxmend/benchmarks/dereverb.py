"""Speech in synthetic rooms, and what dereverberation makes of it.

Rooms are those of `damages.reverberant`, of a seed for every clip, with T60 of 0.3 to 0.9 s; the
target is the direct path. Beside the means stands the share of the clips whose PESQ and DNSMOS are
both above those of the reverberant clip.

    print(restoration.markdown(run(Path("speech/"))))
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ..diffusion.told import Listener
from ..dsp.rms import rms
from ..models import hub
from ..models.precision import choose
from ..restore.damage import Damage
from ..systems.weights import find_weights, load_listener
from ..training.damages import reverberant
from ..training.pool import Draws
from . import rivals, scoring
from .diffsep import listening
from .judges import Panel
from .restoration import heading, load_clips
from .scoring import RATE, Example, Judges, fill, has_row, measure

T60 = (0.3, 0.9)


def in_room(clean: np.ndarray, number: int) -> Example:
    """A clip in a room of this number."""
    speech = torch.from_numpy(clean.astype(np.float32))[None]
    wet = reverberant(speech, Draws(1, "cpu", number), RATE, T60)[0].numpy()
    return Example(clean, wet, Damage(rms=rms(wet)))


class Scores:
    """`scoring.score`, judges, and whether an estimate is `better` than what it was made of."""

    def __init__(self) -> None:
        self.judges = Judges("dnsmos")
        self.inputs: dict[int, dict[str, float]] = {}

    def plain(self, example: Example, estimate: np.ndarray) -> dict[str, float]:
        return {**self.judges(estimate), **scoring.score(example, estimate)}

    def __call__(self, example: Example, estimate: np.ndarray) -> dict[str, float]:
        if id(example) not in self.inputs:
            self.inputs[id(example)] = self.plain(example, example.damaged)
        before = self.inputs[id(example)]
        scores = before if estimate is example.damaged else self.plain(example, estimate)
        rises = [scores[key] > before[key] for key in ("pesq_wb", "dnsmos") if key in scores]
        return scores | {"better": float(all(rises))}


def run(data: Path, clips: int | None = None, weights: str | None = None, seed: int = 0,
        device: str = "cpu", progress: bool = True,
        save: Callable[[dict], None] = lambda result: None, precision: str = "auto",
        judges: bool = False, compared: bool = False, only: tuple[str, ...] = ()) -> dict:
    """Measures the reverberant clips and what a conditional prior makes of them.

    Args:
        data, clips, save: as in `restoration.run`.
        weights: a name or path; by default those of `voxmend dereverb`.
        seed: of the rooms, too.
        precision: as in `models.precision.resolve`.
        judges, compared, only: as in `diffsep.Comparison`.
    """
    scoring.check_metrics()
    path = find_weights("dereverb", "voxmend", weights)
    listener, score = load_listener(path, device), Scores()
    listener.seed = seed
    waves = load_clips(Path(data), clips)
    examples = [in_room(clip, seed + number) for number, clip in enumerate(waves)]
    result = heading(str(path), seed, len(waves), device, choose(listener, precision))
    result["notes"] += score.judges.notes
    methods: dict[str, tuple[Callable, Listener | None]]
    methods = {"reverberant": (lambda e: e.damaged, None)}
    methods |= {label: (method, listener)
                for label, method in listening(listener, hub.read_card(path)).items()}
    if compared:
        found, missing = rivals.installed("dereverb", RATE)
        methods |= {label: (method, None) for label, method in found.items()}
        result["notes"] += missing
    scored: Callable = score
    if judges:
        panel = Panel(device=device)
        scored, result["spread"] = panel.beside(score), True
        result["notes"] += panel.notes
    rows = (measure(examples, method, label, network, progress, scored)
            for label, (method, network) in methods.items() if has_row(label, only))
    fill(result["cases"], {"dereverb, T60 0.3 to 0.9 s": rows}, lambda: save(result))
    return result
